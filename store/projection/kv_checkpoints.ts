import { asGiven, needOpened } from "../base/given.ts";
import { reasonOf } from "../base/reason.ts";
import { decodeUtf8, utf8 } from "../base/utf8.ts";
import type { Connection } from "../connection.ts";
import { type AetherError, CorruptCheckpointError, StoreRefusedError } from "../errors.ts";
import { encodeNamespace } from "../format/layout.ts";
import type { JetStreamApiOptions } from "../nats/api_prefix.ts";
import { Bucket, bucketToken } from "../kv/bucket.ts";
import type { BucketEntry } from "../kv/entry.ts";
import { adviceAbout, failed } from "../nats/failure.ts";
import { RequestError } from "../nats/request_error.ts";
import { ApiError, ServerCode } from "../nats/stream_api.ts";
import type { CheckpointStore, SavedCheckpoint } from "./checkpoint_store.ts";

/** Options for {@linkcode KvCheckpointStore.open}. */
export interface KvCheckpointStoreOptions extends JetStreamApiOptions {
  /** Keeps projections apart: usually the event store's namespace. @default {"default"} */
  readonly namespace?: string;
  /** Copies of the bucket, counted when it is made. Use 3 in production. @default {1} */
  readonly replicas?: number;
  /** Deadline of one call in ms; each try waits at most a fifth of it. @default {10_000} */
  readonly timeout?: number;
}

/** Advice about a checkpoint that is too large. */
const TOO_LARGE =
  "unpark actors or lower maxParked, or raise max_msg_size of the bucket's stream " +
  "and max_payload of the server";

/** The bucket of a namespace's projections. */
export function projectionBucket(namespace: string): string {
  return `AETHER_PROJECTION_${bucketToken(encodeNamespace(namespace))}`;
}

/**
 * A {@linkcode CheckpointStore} in a NATS key-value bucket, `AETHER_PROJECTION_<namespace>`, which
 * `nats kv get` shows. A projection saves after the effects: after a crash it handles the events
 * since the last save again, at most one batch.
 *
 * @example A projection that goes on where it was
 * ```ts ignore
 * import { connect } from "@nats-io/transport-node";
 * import { JetStreamEventStore, KvCheckpointStore, Projection } from "@flowmade-one/aether";
 *
 * const connection = await connect({ servers: "127.0.0.1:4222", maxReconnectAttempts: -1 });
 * await using store = await JetStreamEventStore.open(connection, { namespace: "shop" }); // Deno, or Node 24 and newer
 * await using checkpoints = await KvCheckpointStore.open(connection, { namespace: "shop" });
 * await using projection = new Projection({
 *   name: "mail",
 *   store,
 *   checkpoints,
 *   handler: (event) => console.log(event.sequence, event.eventType),
 * });
 * await projection.run();
 * ```
 */
export class KvCheckpointStore implements CheckpointStore, AsyncDisposable {
  /** Keeps projections apart. */
  readonly namespace: string;
  /** The bucket, as NATS tools name it. */
  readonly bucket: string;
  readonly #bucket: Bucket;
  /** The revision of each key as it was seen last, and the bucket's, so that a save need not read first. */
  readonly #seen = new Map<string, { readonly at: number; readonly revision: number }>();

  private constructor(namespace: string, bucket: Bucket) {
    needOpened(bucket instanceof Bucket, "KvCheckpointStore", "open(connection, options)");
    this.namespace = namespace;
    this.bucket = bucket.name;
    this.#bucket = bucket;
  }

  /**
   * Opens the bucket of a namespace, or makes it if there is none. The caller closes the
   * connection.
   *
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The bucket would lose checkpoints.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, or the user may not use it.
   * @throws {RangeError} An option is out of its range.
   */
  static async open(
    connection: Connection,
    options: KvCheckpointStoreOptions = {},
  ): Promise<KvCheckpointStore> {
    const { namespace = "default", ...own } = asGiven(options);
    const bucket = await Bucket.open(connection, {
      ...own,
      bucket: projectionBucket(namespace),
    });
    return new KvCheckpointStore(namespace, bucket);
  }

  /**
   * See {@linkcode CheckpointStore.load}.
   *
   * @throws {CorruptCheckpointError} The value does not begin with the checkpoint's number: after this,
   * a save of revision 1 replaces it.
   */
  async load(key: string): Promise<SavedCheckpoint | undefined> {
    return this.#note(key, await this.#bucket.get(`checkpoint.${key}`));
  }

  /** See {@linkcode CheckpointStore.save}. */
  async save(key: string, checkpoint: SavedCheckpoint): Promise<boolean> {
    const { revision, body } = checkpoint;
    let seen = this.#seen.get(key);
    if ((seen?.revision ?? 0) !== revision - 1) {
      await this.load(key);
      seen = this.#seen.get(key);
      if ((seen?.revision ?? 0) !== revision - 1) return false;
    }
    const value = utf8(`${revision} ${body}`);
    const put = { revision: seen?.at ?? 0 };
    const outcome = await this.#bucket.put(`checkpoint.${key}`, value, put);
    if (outcome.kind === "stored") {
      this.#seen.set(key, { at: outcome.first, revision });
      return true;
    }
    this.#seen.delete(key);
    if (outcome.kind === "stale") return false;
    throw this.#failed(key, value, outcome.cause);
  }

  /** A checkpoint grows with the actors that are parked, and may outgrow its store. */
  #failed(key: string, value: Uint8Array, cause: unknown): AetherError {
    const isTooLarge = adviceAbout(cause) !== undefined &&
      (!(cause instanceof ApiError) || cause.code === ServerCode.MESSAGE_TOO_LARGE) &&
      !(cause instanceof RequestError);
    const what = `save checkpoint "${key}" of ${value.length} bytes`;
    return isTooLarge
      ? new StoreRefusedError(
        `Cannot ${what}: ${reasonOf(cause)}; ${TOO_LARGE}`,
        TOO_LARGE,
        cause instanceof ApiError ? cause.code : undefined,
        { cause },
      )
      : failed(what, cause);
  }

  /** Ends requests under way; the connection stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bucket.close();
  }

  #note(key: string, { revision: at, value }: BucketEntry): SavedCheckpoint | undefined {
    if (value === undefined) {
      this.#seen.delete(key);
      return undefined;
    }
    const saved = checkpointIn(value);
    if (!Number.isSafeInteger(saved.revision) || saved.revision < 1) {
      // It has no revision that a save could follow: whoever knows what belongs there may begin anew.
      this.#seen.set(key, { at, revision: 0 });
      throw new CorruptCheckpointError(key, "it does not begin with its number");
    }
    this.#seen.set(key, { at, revision: saved.revision });
    return saved;
  }
}

/** The checkpoint in the value of a key. */
export function checkpointIn(value: Uint8Array): SavedCheckpoint {
  const text = decodeUtf8(value);
  const space = text.indexOf(" ");
  return { revision: Number(text.slice(0, space)), body: text.slice(space + 1) };
}
