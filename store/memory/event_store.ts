import { asGiven, needObject, needSignal } from "../base/given.ts";
import { categoryOf } from "../actor.ts";
import { unlessAborted } from "../base/abort.ts";
import { KeyedQueue } from "../base/keyed_queue.ts";
import { keepCommandLog } from "../command_log.ts";
import { keepPositions } from "../store_positions.ts";
import { keepSaveChecks } from "../save_check.ts";
import {
  checkRoom,
  LEAST_MESSAGE,
  MAX_BYTES,
  prepareEvents,
  prepareExpected,
} from "../check/events.ts";
import {
  checkActorId,
  checkCategory,
  checkNumber,
  checkRange,
  prepareActors,
  prepareRange,
  prepareReadAll,
  queryAsGiven,
} from "../check/query.ts";
import { unavailable } from "../check/refusals.ts";
import { checkSave } from "../check/save_check.ts";
import { checkSaveOptions, checkStoreOptions } from "../check/store_options.ts";
import { type CorruptEventError, StoreUnavailableError } from "../errors.ts";
import type { Event, RecordedEvent } from "../event.ts";
import { keepEventRules, rulesOf, upcastersOf } from "../event_rules.ts";
import { StoredNotifier } from "../event_stored.ts";
import { EventDecoder } from "../format/decode.ts";
import { type Encoding, haveBodies, type PreparedEvent, withBodies } from "../format/encode.ts";
import { Layout } from "../format/layout.ts";
import { CODEC_TIMEOUT } from "../format/timely_codec.ts";
import { asStreamSequence, messageSequenceOf } from "../format/position.ts";
import { divide, endsOf, membersOf, positionsOf } from "../format/runs.ts";
import { type InnerSaveOptions, notePositions, partsOf } from "../format/save_options.ts";
import { MemoryCommandLog } from "./command_log.ts";
import { MemoryEventReader } from "./event_reader.ts";
import { MemoryFollower } from "./live_source.ts";
import { MemoryLog } from "./log.ts";
import { takeTurn } from "./turn.ts";
import type {
  EventSubscriptionOptions,
  LatestVersionOptions,
  ListActorsOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  SaveReceipt,
} from "../options.ts";
import type {
  EventStore,
  EventStoreOptions,
  EventSubscription,
  EventsWithErrors,
} from "../store.ts";
import { Subscriptions } from "../subscription.ts";
import type { StoreMetrics } from "../telemetry/metrics.ts";
import { StoreMonitor } from "../telemetry/monitor.ts";
import { unreadable } from "../upcast.ts";

/** Options for {@linkcode InMemoryEventStore}. */
export interface InMemoryEventStoreOptions extends EventStoreOptions {
  /** Bytes that one event with its headers may take, as a server's `max_payload`; 2,304 or more. @default {1048576} */
  readonly maxBytes?: number;
}

/** The parts of a store in memory: its log, and how it reads that. */
export interface MemoryParts {
  readonly log: MemoryLog;
  readonly decoder: EventDecoder;
}

const kept = new WeakMap<InMemoryEventStore, MemoryParts>();

/** The parts of a store in memory; not for users. */
export function memoryPartsOf(store: InMemoryEventStore): MemoryParts {
  return kept.get(store)!;
}

/**
 * An {@linkcode EventStore} in memory: quick, gone with the process. It accepts and refuses
 * just what the JetStream one does, so that a test on it tells the truth.
 *
 * @example Two events, and their replay
 * ```ts
 * import { createEvent, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * const order = { eventType: "OrderPlaced", actorId: "order-123", data: { total: 99.99 } };
 * await store.saveEvent(createEvent({ ...order, version: 1 }));
 * await store.saveEvent(createEvent({ ...order, version: 2 }));
 * console.log((await store.getEvents("order-123")).length); // 2
 * ```
 */
export class InMemoryEventStore implements EventStore {
  /** See {@linkcode EventStore.identity}: a UUID, new with each store, as its events are. */
  readonly identity: string = crypto.randomUUID();
  readonly #log = new MemoryLog();
  readonly #lanes = new KeyedQueue();
  readonly #monitor: StoreMonitor;
  readonly #subscriptions: Subscriptions;
  readonly #notifier: StoredNotifier;
  readonly #encoding: Encoding;
  readonly #reader: MemoryEventReader;
  #saves = 0;
  #disposed = false;

  /** Begins empty. */
  constructor(given: InMemoryEventStoreOptions = {}) {
    needObject(given, "open the store", "options");
    const options = asGiven(given);
    const { namespace = "default", maxBytes = MAX_BYTES, codec } = options;
    new Layout(namespace);
    checkStoreOptions(options);
    checkRange("maxBytes", maxBytes, LEAST_MESSAGE, Number.MAX_SAFE_INTEGER);
    this.#monitor = new StoreMonitor({ "db.system.name": "aether", "db.namespace": namespace });
    this.#subscriptions = new Subscriptions(this.#monitor);
    this.#notifier = new StoredNotifier(namespace, options);
    const rules = rulesOf(options.events);
    const upcasters = upcastersOf(options.upcasters, rules);
    this.#encoding = { maxBytes, codec, upcasters, rules };
    const decoder = new EventDecoder(this.#encoding);
    this.#reader = new MemoryEventReader(decoder);
    keepEventRules(this, rules);
    keepSaveChecks(this, {
      hasCodec: codec !== undefined,
      check: (events) => checkSave(events, this.#encoding),
    });
    keepPositions(this, {
      end: () => Promise.resolve(this.#log.end),
      before: (time) => Promise.resolve(this.#log.before(time.getTime())),
      now: () => Promise.resolve(Date.now()),
    });
    const checkOpen = (what: string) => this.#checkOpen(what);
    const own = { log: this.#log, reader: this.#reader, lanes: this.#lanes };
    keepCommandLog(this, new MemoryCommandLog({ ...own, maxBytes, checkOpen }));
    kept.set(this, { log: this.#log, decoder });
  }

  /** See {@linkcode EventStore.saveEvent}. */
  saveEvent(event: Event): Promise<SaveReceipt> {
    return this.saveEvents([event]);
  }

  /** Counts of all that went through this store so far; a snapshot, which does not change later. */
  get metrics(): StoreMetrics {
    return this.#monitor.snapshot();
  }

  /** See {@linkcode EventStore.saveEvents}. */
  saveEvents(events: readonly Event[], options: SaveOptions = {}): Promise<SaveReceipt> {
    return this.#monitor.save(events, () => this.#save(events, options));
  }

  async #save(events: readonly Event[], options: InnerSaveOptions): Promise<SaveReceipt> {
    this.#checkOpen("save events");
    checkSaveOptions(options);
    const checked = prepareEvents(events, this.#encoding);
    const expect = prepareExpected(options.expect, checked);
    const { signal } = options;
    const actors = [...new Set(checked.map(({ actorId }) => actorId))];
    const parts = partsOf(options, checked.length);
    const refusal = (reason: unknown) => unavailable(checked[0]!, reason);
    const prepare = () =>
      haveBodies(checked) ? checked : withBodies(checked, performance.now() + CODEC_TIMEOUT);
    const store = async (prepared: readonly PreparedEvent[]) => {
      const members = membersOf(parts, prepared);
      const { runs } = divide(members, this.#encoding.maxBytes);
      checkRoom(prepared.length, runs.length, { actors, expect });
      const repeated = this.#log.check(prepared, expect, options.ends);
      if (repeated !== undefined) return { sequence: repeated, duplicate: true };
      const sequence = this.#log.add(this.#nextOp(), members, runs);
      const first = asStreamSequence(messageSequenceOf(sequence) - runs.length + 1);
      const ends = endsOf(parts, runs, first);
      await this.#notifier.notify(prepared, positionsOf(runs, sequence));
      return notePositions({ sequence, duplicate: false }, ends);
    };
    return await takeTurn(this.#lanes, actors, { signal, refusal, prepare, store });
  }

  /** See {@linkcode EventStore.getEvents}. */
  async getEvents<E extends Event = Event>(actorId: string, fromVersion = 0): Promise<E[]> {
    return await this.#monitor.read("getEvents", actorId, async (reading) => {
      checkActorId(actorId);
      checkNumber("fromVersion", fromVersion);
      this.#checkOpen("read events");
      const stored = this.#log.historyOf(actorId, fromVersion);
      const events = await this.#reader.all(stored);
      reading.events = events.length;
      return events as E[];
    });
  }

  /** See {@linkcode EventStore.getEventsOf}. */
  async getEventsOf<E extends Event = Event>(
    actorIds: readonly string[],
  ): Promise<Map<string, E[]>> {
    return await this.#monitor.read("getEventsOf", undefined, async (reading) => {
      const actors = prepareActors(actorIds);
      this.#checkOpen("read events");
      // Taken before anything is awaited.
      const histories = actors.map((actorId) => this.#log.historyOf(actorId));
      const found = new Map<string, E[]>();
      for (const [at, actorId] of actors.entries()) {
        const events = await this.#reader.all(histories[at]!);
        reading.events += events.length;
        found.set(actorId, events as E[]);
      }
      return found;
    });
  }

  /** See {@linkcode EventStore.readEvents}. */
  readEvents<E extends Event = Event>(
    actorId: string,
    options: ReadOptions = {},
  ): AsyncIterable<E> {
    return this.#readEvents(actorId, asGiven(options)) as AsyncIterable<Event> as AsyncIterable<E>;
  }

  /** See {@linkcode EventStore.getEventsWithErrors}; here only a codec or an upcaster can fail. */
  async getEventsWithErrors<E extends Event = Event>(
    actorId: string,
  ): Promise<EventsWithErrors<E>> {
    return await this.#monitor.read("getEventsWithErrors", actorId, async (reading) => {
      checkActorId(actorId);
      this.#checkOpen("read events");
      const events: Event[] = [];
      const errors: { sequence: number; error: CorruptEventError }[] = [];
      for (const stored of this.#log.historyOf(actorId)) {
        try {
          events.push(await this.#reader.one(stored));
        } catch (error) {
          errors.push({ sequence: stored.sequence, error: unreadable(error) });
        }
      }
      reading.events = events.length;
      return { events: events as E[], errors };
    });
  }

  /** See {@linkcode EventStore.readAll}. */
  readAll(options: ReadAllOptions = {}): AsyncGenerator<RecordedEvent, void> {
    return this.#readAll(queryAsGiven(options));
  }

  /** See {@linkcode EventStore.subscribe}. */
  subscribe<E extends Event = Event>(options: EventSubscriptionOptions = {}): EventSubscription<E> {
    needObject(options, "subscribe", "options");
    needSignal(options.signal, "subscribe");
    const follower = new MemoryFollower(options, this.#log, (stored) => this.#reader.one(stored));
    return this.#subscriptions.add(follower, options.signal, () => this.#checkOpen("subscribe"));
  }

  /** See {@linkcode EventStore.listActors}. */
  async *listActors({ category }: ListActorsOptions = {}): AsyncGenerator<string, void> {
    if (category !== undefined) checkCategory(category);
    this.#checkOpen("list actors");
    for (const actorId of this.#log.actors) {
      if (category === undefined || categoryOf(actorId) === category) {
        yield await Promise.resolve(actorId);
      }
    }
  }

  /** See {@linkcode EventStore.getLatestVersion}; nothing here is ever stale. */
  async getLatestVersion(actorId: string, _options?: LatestVersionOptions): Promise<number> {
    checkActorId(actorId);
    this.#checkOpen("look up the latest version");
    this.#monitor.hit();
    return await Promise.resolve(this.#log.latest(actorId));
  }

  /** See {@linkcode EventStore.getLatestVersions}. */
  async getLatestVersions(
    actorIds: readonly string[],
    _options?: LatestVersionOptions,
  ): Promise<Map<string, number>> {
    const actors = prepareActors(actorIds);
    this.#checkOpen("look up latest versions");
    this.#monitor.hit(actors.length);
    return await Promise.resolve(new Map(actors.map((id) => [id, this.#log.latest(id)])));
  }

  /** Ends subscriptions, waits for saves and notifications under way; later calls are refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#subscriptions.end();
    await this.#lanes.idle();
    await this.#notifier.settled();
    this.#reader.end();
  }

  #nextOp(): string {
    return `${this.identity}-${(++this.#saves).toString(36)}`;
  }

  #checkOpen(what: string): void {
    if (this.#disposed) throw new StoreUnavailableError(`Cannot ${what}: the store is disposed`);
  }

  async *#readAll(options: ReadAllOptions): AsyncGenerator<RecordedEvent, void> {
    const reading = this.#monitor.reading("readAll");
    try {
      const { from, filter, signal } = prepareReadAll(options);
      this.#checkOpen("read the store");
      const types = filter.eventTypes && new Set(filter.eventTypes);
      const { events } = this.#log;
      const end = events.length;
      for (let at = this.#log.indexOf(from); at < end; at++) {
        signal?.throwIfAborted();
        const stored = events[at]!;
        const { actorId, eventType, sequence, commit } = stored;
        if (filter.actorId !== undefined && actorId !== filter.actorId) continue;
        if (filter.category !== undefined && categoryOf(actorId) !== filter.category) continue;
        if (types !== undefined && !types.has(eventType)) continue;
        const event = await unlessAborted(signal, this.#reader.one(stored));
        reading.events++;
        yield { ...event, sequence, commit };
      }
      signal?.throwIfAborted();
    } catch (error) {
      throw reading.failed(error);
    } finally {
      reading.end();
    }
  }

  async *#readEvents(actorId: string, options: ReadOptions): AsyncGenerator<Event, void> {
    const reading = this.#monitor.reading("readEvents", actorId);
    try {
      const { from, to, limit, signal, backwards } = prepareRange(actorId, options);
      this.#checkOpen("read events");
      const wanted = this.#log.historyOf(actorId, from, to);
      if (backwards) wanted.reverse();
      for (const stored of wanted.slice(0, limit)) {
        signal?.throwIfAborted();
        const event = await unlessAborted(signal, this.#reader.one(stored));
        reading.events++;
        yield event;
      }
      signal?.throwIfAborted();
    } catch (error) {
      throw reading.failed(error);
    } finally {
      reading.end();
    }
  }
}
