import { unlessAborted } from "../base/abort.ts";
import { isAetherError } from "../errors.ts";
import type { BucketEntry } from "./entry.ts";
import { backoff } from "../nats/backoff.ts";
import { adviceAbout, failed } from "../nats/failure.ts";
import { LiveConsumer } from "../nats/live_consumer.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StreamApi, StreamNames } from "../nats/stream_api.ts";

/** Options for {@linkcode Bucket.watch}. */
export interface WatchOptions {
  /** Which keys, with NATS's wildcards. @default {">"} */
  readonly filter?: string;
  /** Entries that the caller has read already; not yielded again, but one that is gone since then is. */
  readonly known?: readonly BucketEntry[];
  /** How often it compares everything again, in ms. @default {60_000} */
  readonly reconcile?: number;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /**
   * Gets what the server refuses of the watch, and would again, each time that it does: until
   * somebody changes a setting, the watch yields nothing. @default {nobody}
   */
  readonly report?: (error: unknown) => void;
}

/** The entries of some keys, and the markers of those that are gone. */
export interface Listing {
  readonly entries: BucketEntry[];
  /** The sequence up to which it is complete. */
  readonly upTo: number;
  /** Counts how often the bucket has gone back: revisions of two eras cannot be compared. */
  readonly era: number;
}

/** A bucket, as a watch sees it. */
export interface WatchSource {
  readonly api: StreamApi<StreamNames>;
  readonly subjectOf: (key: string) => string;
  readonly entryOf: (message: StoredMessage) => BucketEntry;
  readonly get: (key: string) => Promise<BucketEntry>;
  readonly list: (filter: string) => Promise<Listing>;
  /** Asks whether the bucket is still the same one; gives the era, as in {@linkcode Listing}. */
  readonly look: () => Promise<number>;
  /** Called with work that has to end before the bucket is closed. */
  readonly begun: (work: Promise<void>) => void;
}

/** How long the server may be silent, in ms; after 2.5 times that the watch opens another consumer. */
const HEARTBEAT = 1000;

/** See {@linkcode Bucket.watch}. */
export async function* watchBucket(
  source: WatchSource,
  options: WatchOptions & { signal: AbortSignal },
): AsyncGenerator<BucketEntry, void> {
  const ends = new AbortController();
  const signal = AbortSignal.any([options.signal, ends.signal]);
  const changes = new KeyChanges(source.get, options.known ?? [], signal);
  const work = follow(source, { ...options, signal }, changes);
  source.begun(work);
  try {
    for (;;) {
      const entry = await changes.next();
      if (entry === undefined) return;
      yield entry;
    }
  } finally {
    ends.abort();
    await work;
  }
}

/** Compares, then takes what the server pushes; begins again when that ends or `reconcile` ms are over. */
async function follow(
  source: WatchSource,
  { filter = ">", reconcile = 60_000, signal, report }: WatchOptions & { signal: AbortSignal },
  changes: KeyChanges,
): Promise<void> {
  const { api: { requests }, list, look } = source;
  let retry = backoff(Infinity, signal);
  while (!signal.aborted && !requests.closed) {
    // AbortSignal.timeout() would go on for as long after the watch has ended.
    const over = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      // If somebody has made the bucket again, all that is known is older than its first entry.
      await unlessAborted(signal, look());
      const { entries, upTo, era } = await unlessAborted(signal, list(filter));
      changes.begin(era);
      await unlessAborted(signal, changes.compare(entries));
      timer = setTimeout(() => over.abort(), reconcile);
      const ends = AbortSignal.any([signal, over.signal]);
      await pushed(source, filter, { after: upTo, era }, ends, changes);
      retry = backoff(Infinity, signal);
    } catch (error) {
      if (signal.aborted) break;
      // Out of reach: the next comparison finds what is missed meanwhile.
      if (isAetherError(error, "StoreRefusedError")) report?.(error);
      else if (adviceAbout(error) !== undefined) report?.(failed(`watch "${filter}"`, error));
      await retry(requests);
    } finally {
      clearTimeout(timer);
    }
  }
  changes.end();
}

/** The latest change of each key that the watch has not yielded yet. */
class KeyChanges {
  readonly #get: WatchSource["get"];
  /** The last seen revision of each key, for as long as the key or its marker exists. */
  readonly #known = new Map<string, { readonly revision: number; readonly isGone: boolean }>();
  readonly #waiting = new Map<string, BucketEntry>();
  readonly #signal: AbortSignal;
  #wake: (() => void) | undefined;
  #ended = false;
  #era = 0;

  constructor(get: WatchSource["get"], known: readonly BucketEntry[], signal: AbortSignal) {
    this.#get = get;
    for (const { key, revision, value } of known) {
      this.#known.set(key, { revision, isGone: value === undefined });
    }
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
  }

  /** Begins another era: what was seen before is older than anything in it. */
  begin(era: number): void {
    if (era === this.#era) return;
    this.#era = era;
    for (const [key, { isGone }] of this.#known) this.#known.set(key, { revision: 0, isGone });
  }

  /** Takes an entry; one that is not newer than the last one seen is no change. */
  add(entry: BucketEntry): void {
    const { key, revision, value } = entry;
    const isGone = value === undefined;
    const known = this.#known.get(key);
    if (known !== undefined && revision <= known.revision) return;
    if (known !== undefined || !isGone) this.#known.set(key, { revision, isGone });
    if (isGone && known?.isGone !== false) return;
    this.#waiting.set(key, entry);
    this.#wake?.();
  }

  /** Takes all current entries and markers, and asks for each known key that is missing in them. */
  async compare(current: readonly BucketEntry[]): Promise<void> {
    const keys = new Set(current.map(({ key }) => key));
    for (const entry of current) this.add(entry);
    for (const [key, known] of [...this.#known]) {
      if (keys.has(key)) continue;
      const entry = await this.#get(key);
      this.add(entry);
      // The key and its marker are gone: this is newer than any entry ever seen of the key.
      if (entry.revision > 0 || this.#known.get(key) !== known) continue;
      this.add({ ...entry, revision: known.revision + 1 });
      this.#known.delete(key);
    }
  }

  /** The next change; `undefined` at the end. */
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

  /** Ends the changes: there will be no more. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

/**
 * Takes messages that the server pushes after `after`, until `signal` aborts, the consumer is lost, or the
 * bucket is found to be of another era.
 */
async function pushed(
  { api, subjectOf, entryOf, look }: WatchSource,
  filter: string,
  { after, era }: { readonly after: number; readonly era: number },
  signal: AbortSignal,
  changes: KeyChanges,
): Promise<void> {
  const name = `aether-${crypto.randomUUID()}`;
  try {
    const consumer = await LiveConsumer.open(api, name, {
      subject: subjectOf(filter),
      after,
      heartbeat: HEARTBEAT,
    });
    // The bucket below the consumer cannot be exchanged any more without ending it.
    if (await unlessAborted(signal, look()) !== era) return;
    while (!signal.aborted) {
      const messages = await unlessAborted(signal, consumer.next());
      for (const message of messages) changes.add(entryOf(message));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await api.forget(name, HEARTBEAT).catch(() => {}); // It ends by itself when idle.
  }
}
