import type { Event } from "./event.ts";
import { decodeEvent } from "./decode.ts";
import { Layout } from "./layout.ts";
import {
  checkActorId,
  checkFromVersion,
  conflictOf,
  expectationFailed,
  MAX_BYTES,
  type PreparedEvent,
  prepareEvents,
  prepareExpected,
} from "./prepare.ts";
import type {
  EventStore,
  EventStoreOptions,
  LatestVersionOptions,
  SaveOptions,
  SaveReceipt,
} from "./store.ts";
import { StoredNotifier } from "./stored.ts";

/** Options for {@linkcode InMemoryEventStore}. */
export interface InMemoryEventStoreOptions extends EventStoreOptions {
  /** Bytes that one event with its headers may take, as a server's `max_payload`. @default {1048576} */
  readonly maxBytes?: number;
}

/** An event as it is kept: encoded, so that nothing of the caller's is shared. */
interface StoredEvent extends PreparedEvent {
  readonly sequence: number;
}

/**
 * An {@linkcode EventStore} in memory: quick, gone with the process. It accepts and refuses
 * just what the JetStream one does, so that a test on it tells the truth.
 *
 * @example Two events, and their replay
 * ```ts
 * import { createEvent, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * await using store = new InMemoryEventStore();
 * const order = { eventType: "OrderPlaced", actorId: "order-123", data: { total: 99.99 } };
 * await store.saveEvent(createEvent({ ...order, version: 1 }));
 * await store.saveEvent(createEvent({ ...order, version: 2 }));
 * console.log((await store.getEvents("order-123")).length); // 2
 * ```
 */
export class InMemoryEventStore implements EventStore {
  readonly #actors = new Map<string, StoredEvent[]>();
  readonly #notifier: StoredNotifier;
  readonly #maxBytes: number;
  /** The position before the first event, where a stream has its genesis message. */
  #sequence = 1;

  /** Begins empty. */
  constructor(options: InMemoryEventStoreOptions = {}) {
    const { namespace = "default", maxBytes = MAX_BYTES } = options;
    new Layout(namespace);
    this.#notifier = new StoredNotifier(namespace, options);
    this.#maxBytes = maxBytes;
  }

  /** See {@linkcode EventStore.saveEvent}. */
  saveEvent(event: Event): Promise<SaveReceipt> {
    return this.saveEvents([event]);
  }

  /** See {@linkcode EventStore.saveEvents}. */
  async saveEvents(events: readonly Event[], options: SaveOptions = {}): Promise<SaveReceipt> {
    const prepared = prepareEvents(events, this.#maxBytes);
    const repeated = this.#check(prepared, prepareExpected(options.expect, prepared));
    if (repeated !== undefined) return { sequence: repeated, duplicate: true };
    for (const event of prepared) {
      const history = this.#actors.get(event.actorId) ?? [];
      this.#actors.set(event.actorId, history);
      history.push({ ...event, sequence: ++this.#sequence });
    }
    const receipt = { sequence: this.#sequence, duplicate: false };
    // A gap after each batch, as in a stream: nobody may take one for a loss.
    if (prepared.length > 1) this.#sequence++;
    await this.#notifier.notify(prepared);
    return receipt;
  }

  /** See {@linkcode EventStore.getEvents}. */
  async getEvents<E extends Event = Event>(actorId: string, fromVersion = 0): Promise<E[]> {
    checkActorId(actorId);
    checkFromVersion(fromVersion);
    const history = this.#actors.get(actorId) ?? [];
    return await Promise.resolve(
      history.slice(firstAt(history, fromVersion)).map(({ body, sequence }) =>
        decodeEvent(body, sequence, actorId) as E
      ),
    );
  }

  /** See {@linkcode EventStore.getLatestVersion}; nothing here is ever stale. */
  async getLatestVersion(actorId: string, _options?: LatestVersionOptions): Promise<number> {
    checkActorId(actorId);
    return await Promise.resolve(this.#latest(actorId));
  }

  /** Waits for notifications under way; saves are over when they return. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#notifier.settled();
  }

  /** Throws on a conflict; gives the position of the last event if all are stored already. */
  #check(
    events: readonly PreparedEvent[],
    expect: ReadonlyMap<string, number>,
  ): number | undefined {
    const latest = new Map<string, number>();
    for (const { actorId } of events) latest.set(actorId, this.#latest(actorId));
    const isNew = ({ actorId, version }: PreparedEvent) => version > latest.get(actorId)!;
    if (events.every(isNew)) {
      for (const [actorId, expected] of expect) {
        const current = this.#latest(actorId);
        if (current !== expected) throw expectationFailed(actorId, expected, current, events);
      }
      return undefined;
    }
    let sequence = 0;
    for (const event of events) {
      const stored = this.#find(event);
      if (stored?.id !== event.id) {
        throw conflictOf(event, latest.get(event.actorId)!);
      }
      sequence = Math.max(sequence, stored.sequence);
    }
    return sequence;
  }

  #find({ actorId, version }: PreparedEvent): StoredEvent | undefined {
    const history = this.#actors.get(actorId) ?? [];
    const found = history[firstAt(history, version)];
    return found?.version === version ? found : undefined;
  }

  #latest(actorId: string): number {
    return this.#actors.get(actorId)?.at(-1)?.version ?? 0;
  }
}

/** Index of the first event at `version` or above: a binary search, for versions have gaps. */
function firstAt(history: readonly StoredEvent[], version: number): number {
  let low = 0;
  let high = history.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (history[middle]!.version < version) low = middle + 1;
    else high = middle;
  }
  return low;
}
