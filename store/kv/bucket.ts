import { headers } from "@nats-io/nats-core";
import { isSameBytes } from "../base/bytes.ts";
import { checkRange } from "../check/query.ts";
import type { Connection } from "../connection.ts";
import { StoreUnavailableError } from "../errors.ts";
import { EXPECT } from "../format/headers.ts";
import { bucketStream, openBucketStream } from "./bucket_config.ts";
import type { BucketEntry, KeyEnd, PutOptions } from "./entry.ts";
import { readLastValues } from "./last_values.ts";
import { type Listing, watchBucket, type WatchOptions } from "./watch.ts";
import { apiPrefixOf, type JetStreamApiOptions, OWN_API } from "../nats/api_prefix.ts";
import { backoff } from "../nats/backoff.ts";
import { needConnection, openRequests } from "../nats/open.ts";
import { Publisher, type TryOutcome } from "../nats/publisher.ts";
import { requestTimeoutOf } from "../nats/request_timeout.ts";
import type { RequestMux } from "../nats/requests.ts";
import { attempt } from "../nats/retry.ts";
import { settledWrite } from "../nats/settled_write.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { StreamApi, type StreamNames } from "../nats/stream_api.ts";

/** Options for {@linkcode Bucket.open}. */
export interface BucketOptions extends JetStreamApiOptions {
  /** The bucket, as NATS tools name it; see {@linkcode bucketToken}. */
  readonly bucket: string;
  /** Copies, counted when it is made. @default {1} */
  readonly replicas?: number;
  /** Deadline of one call in ms; each try waits at most a fifth of it. @default {10_000} */
  readonly timeout?: number;
  /** How long the marker of a key that is gone stays, in ms; counted when it is made. @default {600_000} */
  readonly markerTtl?: number;
}

/** Our own header: the key was removed by its writer, and not by hand. */
const RELEASED = "Aether-Released";

/**
 * A NATS key-value bucket with raw writes: every write is a compare-and-set, and every renewal
 * carries its time to live, which nats.js's own `update()` would silently make endless. Reads
 * come from the leader, or are proved to be no older than what this process has seen.
 */
export class Bucket {
  /** The bucket, as NATS tools name it. */
  readonly name: string;
  /** Carries the requests; its epoch counts the breaks of the connection. */
  readonly requests: RequestMux;
  readonly #api: StreamApi<StreamNames>;
  readonly #publisher: Publisher;
  readonly #timeout: number;
  readonly #markerTtl: number;
  readonly #ends = new AbortController();
  readonly #watches = new Set<Promise<void>>();
  /** Revisions up to this were seen or written here. */
  #highest = 0;
  /** How often it was found to have gone back, or to be another: revisions from before mean nothing then. */
  #era = 0;
  /** When it was made, as the server said last. */
  #made: string | undefined;

  private constructor(
    api: StreamApi<StreamNames>,
    { bucket, timeout = 10_000 }: BucketOptions,
    markerTtl: number,
  ) {
    this.name = bucket;
    this.requests = api.requests;
    this.#api = api;
    this.#made = api.created;
    this.#publisher = new Publisher(api);
    this.#timeout = timeout;
    this.#markerTtl = markerTtl;
  }

  /**
   * Opens the bucket, or makes it if there is none. It verifies an existing one, and never changes it.
   *
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The bucket would lose keys, or keep those that have expired.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, or the user may not use it.
   * @throws {RangeError} An option is out of its range.
   */
  static async open(connection: Connection, options: BucketOptions): Promise<Bucket> {
    const { bucket, replicas = 1, timeout = 10_000, markerTtl = 600_000 } = options;
    const what = `bucket "${bucket}"`;
    needConnection(connection, `open ${what}`);
    checkRange("replicas", replicas, 1, 5, what);
    checkRange("timeout", timeout, 1, 2 ** 31 - 1, what);
    checkRange("markerTtl", markerTtl, 1000, 2 ** 31 - 1, what);
    const prefix = apiPrefixOf(options, what);
    const requests = openRequests(connection, what);
    try {
      const api = new StreamApi(requests, { stream: bucketStream(bucket) }, prefix);
      const actual = await openBucketStream(api, { bucket, replicas, markerTtl }, timeout);
      return new Bucket(api, options, actual);
    } catch (error) {
      requests.close();
      throw error;
    }
  }

  /** Tells it from a bucket of the same name in another domain, or made at another time. */
  get origin(): string {
    return `${this.#api.domain ?? ""} ${this.#api.created}`;
  }

  /** How long the marker of a key that is gone stays, in ms. */
  get markerTtl(): number {
    return this.#markerTtl;
  }

  /**
   * The entry at `key`, as the leader has it.
   *
   * @throws {StoreUnavailableError} No answer within the timeout.
   */
  async get(key: string, timeout: number = this.#timeout): Promise<BucketEntry> {
    const subject = this.#subject(key);
    const message = await attempt(
      this.requests,
      timeout,
      `read key "${key}"`,
      () => this.#api.get({ last_by_subj: subject }, requestTimeoutOf(timeout)),
    );
    return this.#entryAt(key, message);
  }

  /**
   * The entries of the keys that match `filter` (with NATS's wildcards), without those that are
   * gone; no older than anything that this process has seen before. Reads pages if the keys and the
   * markers of those that are gone are too many for one answer.
   *
   * @throws {StoreUnavailableError} No answer within the timeout.
   */
  async list(filter = ">", timeout: number = this.#timeout): Promise<BucketEntry[]> {
    const { entries } = await this.#list(filter, timeout);
    return entries.filter(({ value }) => value !== undefined);
  }

  /**
   * Tries once to write `value`, waiting at most `requestTimeout` ms for the answer. Sent again with
   * the same revision it cannot be stored twice; the caller settles an unknown outcome by reading.
   */
  put(
    key: string,
    value: Uint8Array,
    { revision, ttl }: PutOptions,
    requestTimeout: number = requestTimeoutOf(this.#timeout),
  ): Promise<TryOutcome> {
    const fields = headers();
    if (ttl !== undefined) {
      if (!Number.isSafeInteger(ttl) || ttl < 1) {
        throw new RangeError(`Cannot write key "${key}": ttl is ${ttl}, not whole seconds from 1`);
      }
      fields.set("Nats-TTL", `${ttl}s`);
    }
    return this.#publish(key, value, revision, fields, requestTimeout);
  }

  /**
   * How long ago the bucket was made, in ms, by the server's clock.
   *
   * @throws {StoreUnavailableError} No answer within the timeout.
   */
  async age(timeout: number = this.#timeout): Promise<number> {
    const info = await attempt(
      this.requests,
      timeout,
      `look up bucket "${this.name}"`,
      () => this.#api.info(requestTimeoutOf(timeout)),
    );
    const { ts = "", created = "" } = info ?? {};
    return Math.max(0, Date.parse(ts) - Date.parse(created)) || 0;
  }

  /** Like {@linkcode Bucket.put}, but removes the key; its marker stays for `markerTtl`. */
  remove(
    key: string,
    revision: number,
    requestTimeout: number = requestTimeoutOf(this.#timeout),
  ): Promise<TryOutcome> {
    const fields = headers();
    fields.set(RELEASED, "1");
    fields.set("KV-Operation", "PURGE");
    fields.set("Nats-Rollup", "sub");
    fields.set("Nats-TTL", `${Math.ceil(this.#markerTtl / 1000)}s`);
    return this.#publish(key, new Uint8Array(), revision, fields, requestTimeout);
  }

  /**
   * Writes the value that `change` returns for the current entry, and calls it again if another
   * writer was quicker; `undefined` leaves the entry as it is. Returns the entry in the end. The
   * values of one key must never repeat, because an unknown outcome is settled by comparing them.
   *
   * @throws {StoreUnavailableError} No answer within the timeout.
   */
  async update(
    key: string,
    change: (current: BucketEntry) => Uint8Array | undefined,
    timeout: number = this.#timeout,
  ): Promise<BucketEntry> {
    const subject = this.#subject(key);
    const deadline = performance.now() + timeout;
    const requestTimeout = () =>
      Math.min(requestTimeoutOf(this.#timeout), deadline - performance.now());
    const end = await settledWrite<BucketEntry, Uint8Array>({
      requests: this.requests,
      deadline,
      what: `write key "${key}"`,
      otherwise: "others write it all the time",
      ends: { absent: "it was not written", unknown: "it may have been written" },
      read: async () => {
        const message = await this.#api.get({ last_by_subj: subject }, requestTimeout());
        return this.#entryAt(key, message);
      },
      sequenceOf: ({ revision }) => revision,
      next: change,
      holds: ({ value }, own) => isSameBytes(own, value),
      put: (value, current) => this.put(key, value, current, requestTimeout()),
    });
    if (end.kind !== "stored") return end.state;
    return { key, revision: end.sequence, value: end.value };
  }

  /**
   * The entries of the keys that match, then every change, the latest of each key. After a break of
   * the connection, and every `reconcile` ms, it compares everything again, so that nothing is
   * missed permanently, not even an expiry whose marker is gone. If the bucket is deleted, it goes on
   * when there is one of that name again. Ends with `signal` or the bucket, within about two seconds
   * while the server does not answer.
   */
  watch(options: WatchOptions = {}): AsyncGenerator<BucketEntry, void> {
    const signal = options.signal === undefined
      ? this.#ends.signal
      : AbortSignal.any([options.signal, this.#ends.signal]);
    const source = {
      api: this.#api,
      subjectOf: (key: string) => this.#subject(key),
      entryOf: (message: StoredMessage) => this.#entry(message),
      get: (key: string) => this.get(key),
      list: (filter: string) => this.#list(filter, this.#timeout),
      look: () => this.#look(),
      begun: (work: Promise<void>) => {
        this.#watches.add(work);
        work.finally(() => this.#watches.delete(work));
      },
    };
    return watchBucket(source, { ...options, signal });
  }

  /** Ends watches and requests; the connection stays open. */
  async close(): Promise<void> {
    this.#ends.abort();
    await Promise.all(this.#watches);
    this.requests.close();
  }

  async #publish(
    key: string,
    body: Uint8Array,
    revision: number,
    fields: ReturnType<typeof headers>,
    requestTimeout: number,
  ): Promise<TryOutcome> {
    // The server takes an odd value as no check at all.
    if (!Number.isSafeInteger(revision) || revision < 0) {
      throw new TypeError(`Cannot write key "${key}": revision ${revision} is not a safe integer`);
    }
    fields.set(EXPECT, String(revision));
    const { prefix } = this.#api;
    // Servers keep keys to their own JetStream, and bring those behind an API's prefix to its own.
    const subject = prefix === OWN_API ? this.#subject(key) : `${prefix}.${this.#subject(key)}`;
    const messages = [{ subject, headers: fields, body }];
    const outcome = await this.#publisher.publish(
      messages,
      requestTimeout,
      performance.now() + requestTimeout,
    );
    if (outcome.kind === "stored") this.#highest = Math.max(this.#highest, outcome.first);
    return outcome;
  }

  async #list(filter: string, timeout: number): Promise<Listing> {
    const what = `list keys "${filter}" of bucket "${this.name}"`;
    const subject = this.#subject(filter);
    const requestTimeout = requestTimeoutOf(timeout);
    const retry = backoff(performance.now() + timeout);
    const least = this.#highest;
    const era = this.#era;
    for (;;) {
      const page = await attempt(
        this.requests,
        timeout,
        what,
        () => readLastValues(this.#api, subject, requestTimeout),
      );
      // An empty answer carries no position: then the leader's answer for the filter decides.
      const isCurrent = page.messages.length > 0 ? page.upTo >= least : undefined ===
        await attempt(
          this.requests,
          timeout,
          what,
          () => this.#api.get({ last_by_subj: subject }, requestTimeout),
        );
      if (isCurrent) {
        const entries = page.messages.map((message) => this.#entry(message));
        return { entries, upTo: Math.max(page.upTo, least), era };
      }
      if (!await retry(this.requests)) {
        // For that long no leader was deposed: the bucket was restored, or has lost its end.
        const { state: { last_seq: reached } = { last_seq: 0 } } =
          await attempt(this.requests, timeout, what, () => this.#api.info(requestTimeout)) ?? {};
        if (reached < least && era === this.#era) {
          this.#era++;
          this.#highest = 0;
        }
        throw new StoreUnavailableError(`Cannot ${what}: the replicas that answer lag behind`);
      }
    }
  }

  /** Asks whether somebody has deleted the bucket and made another one; gives the era. */
  async #look(): Promise<number> {
    const what = `look up bucket "${this.name}"`;
    const requestTimeout = requestTimeoutOf(this.#timeout);
    const info = await attempt(
      ...[this.requests, this.#timeout, what] as const,
      () => this.#api.info(requestTimeout),
    );
    if (info === undefined) {
      throw new StoreUnavailableError(
        `Cannot ${what}: somebody has deleted it; the watch goes on when it is made again`,
      );
    }
    if (this.#made !== info.created && this.#made) {
      this.#era++;
      this.#highest = 0;
    }
    this.#made = info.created;
    return this.#era;
  }

  #subject(key: string): string {
    return `$KV.${this.name}.${key}`;
  }

  /** The entry that is the last message of a key, or none. */
  #entryAt(key: string, message: StoredMessage | undefined): BucketEntry {
    return message === undefined ? { key, revision: 0, value: undefined } : this.#entry(message);
  }

  #entry(message: StoredMessage): BucketEntry {
    this.#highest = Math.max(this.#highest, message.sequence);
    const key = message.subject.slice(this.#subject("").length);
    const gone = endIn(message);
    const value = gone === undefined ? message.data : undefined;
    return { key, revision: message.sequence, value, gone };
  }
}

/** How the key went that `message` is the marker of; `undefined` if it holds a value. */
export function endIn(message: StoredMessage): KeyEnd | undefined {
  const reason = message.header("Nats-Marker-Reason");
  if (reason !== "") return reason === "MaxAge" ? "expired" : "removed";
  if (message.header("KV-Operation") === "") return undefined;
  return message.header(RELEASED) === "" ? "removed" : "released";
}

/**
 * The form of a namespace in the name of a bucket, which allows fewer characters than a subject:
 * letters, digits and `-` stay, `_` is doubled, every other UTF-8 byte becomes `_HH`. No two
 * namespaces share a form.
 */
export function bucketToken(namespaceToken: string): string {
  return namespaceToken.replaceAll("_", "__").replaceAll("=", "_");
}
