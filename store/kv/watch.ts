import { unlessAborted } from "../base/abort.ts";
import type { BucketEntry } from "./entry.ts";
import { backoff } from "../nats/backoff.ts";
import { LiveConsumer } from "../nats/live_consumer.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StreamApi, StreamNames } from "../nats/stream_api.ts";

/** Options for {@linkcode Bucket.watch}. */
export interface WatchOptions {
  /** Which keys, with NATS's wildcards. @default {">"} */
  readonly filter?: string;
  /** What the caller has read already, and is not told again. A key that is gone since then is told. */
  readonly known?: readonly BucketEntry[];
  /** How often everything is compared anew, in ms. @default {60_000} */
  readonly reconcile?: number;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
}

/** What stands at some keys. */
export interface Listing {
  readonly entries: BucketEntry[];
  /** The sequence up to which nothing is missing in it. */
  readonly upTo: number;
}

/** What a watch asks of its bucket. */
export interface WatchSource {
  readonly api: StreamApi<StreamNames>;
  readonly subjectOf: (key: string) => string;
  readonly entryOf: (message: StoredMessage) => BucketEntry;
  readonly get: (key: string) => Promise<BucketEntry>;
  readonly list: (filter: string) => Promise<Listing>;
  /** Told of work that has to end before the bucket is closed. */
  readonly begun: (work: Promise<void>) => void;
}

/** How long the server's side of the watch may be silent, in ms; 2.5 times that is its end. */
const HEARTBEAT = 1000;

/** See {@linkcode Bucket.watch}. */
export async function* watchBucket(
  source: WatchSource,
  options: WatchOptions & { signal: AbortSignal },
): AsyncGenerator<BucketEntry, void> {
  const ends = new AbortController();
  const signal = AbortSignal.any([options.signal, ends.signal]);
  const news = new KeyChanges(source.get, options.known ?? [], signal);
  const work = follow(source, { ...options, signal }, news);
  source.begun(work);
  try {
    for (;;) {
      const entry = await news.next();
      if (entry === undefined) return;
      yield entry;
    }
  } finally {
    ends.abort();
    await work;
  }
}

/** Compares, then takes what the server pushes; again whenever that ends or it is time to. */
async function follow(
  source: WatchSource,
  { filter = ">", reconcile = 60_000, signal }: WatchOptions & { signal: AbortSignal },
  news: KeyChanges,
): Promise<void> {
  const { api: { requests }, list } = source;
  let retry = backoff(Infinity, signal);
  while (!signal.aborted && !requests.closed) {
    try {
      const { entries, upTo } = await list(filter);
      await news.compare(entries);
      await pushed(
        source,
        filter,
        upTo,
        AbortSignal.any([signal, AbortSignal.timeout(reconcile)]),
        news,
      );
      retry = backoff(Infinity, signal);
    } catch {
      // Out of reach: what is missed meanwhile, the next comparison finds.
      await retry(requests);
    }
  }
  news.end();
}

/** The latest of each key that was not told yet. */
class KeyChanges {
  readonly #get: WatchSource["get"];
  /** What was seen last of each key, as long as a trace of it is there. */
  readonly #known = new Map<string, { readonly revision: number; readonly isGone: boolean }>();
  readonly #waiting = new Map<string, BucketEntry>();
  readonly #signal: AbortSignal;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(get: WatchSource["get"], known: readonly BucketEntry[], signal: AbortSignal) {
    this.#get = get;
    for (const { key, revision, value } of known) {
      this.#known.set(key, { revision, isGone: value === undefined });
    }
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
  }

  /** Takes what was seen; what is older than what was seen before is no news. */
  tell(entry: BucketEntry): void {
    const { key, revision, value } = entry;
    const isGone = value === undefined;
    const known = this.#known.get(key);
    if (known !== undefined && revision <= known.revision) return;
    if (known !== undefined || !isGone) this.#known.set(key, { revision, isGone });
    if (isGone && known?.isGone !== false) return;
    this.#waiting.set(key, entry);
    this.#wake?.();
  }

  /** Takes everything that stands: what is missing in it and known here is asked for. */
  async compare(standing: readonly BucketEntry[]): Promise<void> {
    const keys = new Set(standing.map(({ key }) => key));
    for (const entry of standing) this.tell(entry);
    for (const [key, known] of [...this.#known]) {
      if (keys.has(key)) continue;
      const entry = await this.#get(key);
      this.tell(entry);
      // Gone, and its trace with it: newer than all that was ever seen of the key.
      if (entry.revision > 0 || this.#known.get(key) !== known) continue;
      this.tell({ ...entry, revision: known.revision + 1 });
      this.#known.delete(key);
    }
  }

  /** The next news; `undefined` at the end. */
  async next(): Promise<BucketEntry | undefined> {
    while (!this.#signal.aborted && !this.#ended) {
      for (const [key, entry] of this.#waiting) {
        this.#waiting.delete(key);
        return entry;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return undefined;
  }

  /** Says that there will be no more. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

/** Takes what the server pushes after `upTo`, until `signal` is aborted or the consumer is lost. */
async function pushed(
  { api, subjectOf, entryOf }: WatchSource,
  filter: string,
  after: number,
  signal: AbortSignal,
  news: KeyChanges,
): Promise<void> {
  const name = `aether-${crypto.randomUUID()}`;
  try {
    const feed = await LiveConsumer.open(api, name, {
      subject: subjectOf(filter),
      after,
      heartbeat: HEARTBEAT,
    });
    while (!signal.aborted) {
      const messages = await unlessAborted(signal, feed.next());
      for (const message of messages) news.tell(entryOf(message));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await api.forget(name, HEARTBEAT).catch(() => {}); // It ends by itself when idle.
  }
}
