import { asGiven, needOpened } from "../base/given.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { isSameBytes } from "../base/bytes.ts";
import { describe, encodeToken, tokenProblem } from "../base/token.ts";
import { decodeUtf8, utf8 } from "../base/utf8.ts";
import { FORGOTTEN, type Forgotten } from "../codec.ts";
import type { Connection } from "../connection.ts";
import { encodeNamespace } from "../format/layout.ts";
import { Bucket, bucketToken } from "../kv/bucket.ts";
import type { BucketEntry } from "../kv/entry.ts";
import type { JetStreamApiOptions } from "../nats/api_prefix.ts";
import { KEY_BYTES, type KeyStore, newKey } from "./key_store.ts";

/** Options for {@linkcode KvKeyStore.open}. */
export interface KvKeyStoreOptions extends JetStreamApiOptions {
  /** Keeps sets of keys apart: usually the event store's namespace. @default {"default"} */
  readonly namespace?: string;
  /** Copies of the bucket, counted when it is made. Use 3 in production. @default {1} */
  readonly replicas?: number;
  /** Deadline of one call in ms; each try waits at most a fifth of it. @default {10_000} */
  readonly timeout?: number;
}

/**
 * A {@linkcode KeyStore} in a NATS key-value bucket, `AETHER_KEYS_<namespace>`, with a history of
 * one. A forgotten key is overwritten by a mark, which stays; a key that somebody purges by
 * `nats kv purge` counts as forgotten too. The server no longer gives out an overwritten key, but its
 * bytes can stay in the files of the stream until the server compacts them.
 *
 * The keys are stored as they are: allow the bucket only to those programs that read sealed fields,
 * and leave it out of the backups of events. A key management service is safer.
 */
export class KvKeyStore implements KeyStore, AsyncDisposable {
  /** The bucket, as NATS tools name it. */
  readonly bucket: string;
  readonly #bucket: Bucket;

  private constructor(bucket: Bucket) {
    needOpened(bucket instanceof Bucket, "KvKeyStore", "open(connection, options)");
    this.bucket = bucket.name;
    this.#bucket = bucket;
  }

  /**
   * Opens the bucket of a namespace, or makes it if there is none. The caller closes the connection.
   *
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The bucket would lose keys, or keep those that were overwritten.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, or the user may not use it.
   * @throws {RangeError} An option is out of its range.
   */
  static async open(
    connection: Connection,
    options: KvKeyStoreOptions = {},
  ): Promise<KvKeyStore> {
    const { namespace = "default", ...own } = asGiven(options);
    const bucket = `AETHER_KEYS_${bucketToken(encodeNamespace(namespace))}`;
    return new KvKeyStore(await Bucket.open(connection, { ...own, bucket }));
  }

  /**
   * See {@linkcode KeyStore.get}.
   *
   * @throws {StoreUnavailableError} No answer within the timeout.
   */
  async get(subject: string): Promise<Uint8Array | Forgotten | undefined> {
    return contentOf(subject, await this.#bucket.get(placeOf(subject)));
  }

  /**
   * See {@linkcode KeyStore.getOrCreate}.
   *
   * @throws {StoreUnavailableError} No answer within the timeout.
   */
  async getOrCreate(subject: string): Promise<Uint8Array | Forgotten> {
    const fresh = utf8(KEY + encodeBase64(newKey()));
    const entry = await this.#bucket.update(
      placeOf(subject),
      (current) => contentOf(subject, current) === undefined ? fresh : undefined,
    );
    return contentOf(subject, entry)!;
  }

  /**
   * See {@linkcode KeyStore.forget}.
   *
   * @throws {StoreUnavailableError} No answer within the timeout: the key may be dropped or not, and
   * calling it again is safe.
   */
  async forget(subject: string): Promise<boolean> {
    let hadKey = false;
    // No two marks are alike: a lost answer is settled by comparing them.
    const mark = utf8(`${MARK}${new Date().toISOString()} ${crypto.randomUUID()}`);
    const { value } = await this.#bucket.update(placeOf(subject), (current) => {
      const isMarked = current.value !== undefined && decodeUtf8(current.value).startsWith(MARK);
      if (isMarked) return undefined;
      hadKey = current.value !== undefined;
      return mark;
    });
    return hadKey && isSameBytes(mark, value); // Another caller may have been quicker.
  }

  /** Ends requests under way; the connection stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bucket.close();
  }
}

const KEY = "key ";
const MARK = "forgotten ";

function placeOf(subject: string): string {
  const problem = tokenProblem(subject);
  if (problem !== undefined) {
    throw new RangeError(`Cannot use the key of subject ${describe(subject)}: it ${problem}`);
  }
  return `key.${encodeToken(subject)}`;
}

/** A marker of a key that somebody removed by hand has no time to live: it stays. */
function contentOf(
  subject: string,
  { value, gone }: BucketEntry,
): Uint8Array | Forgotten | undefined {
  if (value === undefined) return gone === undefined ? undefined : FORGOTTEN;
  const text = decodeUtf8(value);
  if (text.startsWith(MARK)) return FORGOTTEN;
  const key = text.startsWith(KEY) ? decodeBase64(text.slice(KEY.length)) : undefined;
  if (key?.length === KEY_BYTES) return key;
  throw new TypeError(`Cannot read the key of subject ${describe(subject)}: it is damaged`);
}
