import { asGiven, needObject, needOpened, needSignal } from "../base/given.ts";
import {
  checkActorId,
  checkCategory,
  prepareActors,
  prepareRange,
  prepareReadAll,
  queryAsGiven,
} from "../check/query.ts";
import type { Connection } from "../connection.ts";
import { StoreUnavailableError } from "../errors.ts";
import type { Event, RecordedEvent } from "../event.ts";
import { keepEventRules, rulesOf, upcastersOf } from "../event_rules.ts";
import { StoredNotifier } from "../event_stored.ts";
import { Layout } from "../format/layout.ts";
import { type OpenedStream, openStream } from "./event_stream.ts";
import { checkOptions, type JetStreamEventStoreOptions } from "./options.ts";
import { type InnerReadOptions, keepCommandLog } from "../command_log.ts";
import { keepPositions } from "../store_positions.ts";
import { keepSaveChecks } from "../save_check.ts";
import { StreamCommandLog } from "./command_log.ts";
import { StreamPositions } from "./positions.ts";
import { watchReplicas } from "./replicas.ts";
import { partsOf } from "./parts.ts";
import { apiPrefixOf } from "../nats/api_prefix.ts";
import { needConnection, openRequests } from "../nats/open.ts";
import { asStoredMessage } from "../nats/stored_message.ts";
import { StreamApi } from "../nats/stream_api.ts";
import type {
  EventSubscriptionOptions,
  LatestVersionOptions,
  ListActorsOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  SaveReceipt,
} from "../options.ts";
import { History } from "../read/history.ts";
import { LatestVersions } from "../read/latest_versions.ts";
import { LiveSource } from "../read/live_source.ts";
import { Log } from "../read/log.ts";
import type { ReaderParts } from "../read/pages.ts";
import { salvage } from "../read/salvage.ts";
import type { SavePath, SavePathFactory } from "../save/path.ts";
import { SavePlanner } from "../save/planner.ts";
import type { EventStore, EventSubscription, EventsWithErrors } from "../store.ts";
import { Subscriptions } from "../subscription.ts";
import type { StoreMetrics } from "../telemetry/metrics.ts";
import { StoreMonitor } from "../telemetry/monitor.ts";

/** {@linkcode JetStreamEventStore.open} for a store that saves another way; not for users. */
export function openByDetour(
  connection: Connection,
  options: JetStreamEventStoreOptions,
  detour: SavePathFactory,
): Promise<JetStreamEventStore> {
  const inner: InnerJetStreamEventStoreOptions = { ...options, detour };
  return JetStreamEventStore.open(connection, inner);
}

/** {@linkcode JetStreamEventStoreOptions} for callers inside the library. */
interface InnerJetStreamEventStoreOptions extends JetStreamEventStoreOptions {
  /** The way to save. @default {the store's own} */
  readonly detour?: SavePathFactory;
}

const readers = new WeakMap<JetStreamEventStore, ReaderParts>();

/** The parts that a store reads with; not for users. */
export function readerOf(store: JetStreamEventStore): ReaderParts {
  return readers.get(store)!;
}

/**
 * An {@linkcode EventStore} on one JetStream stream. The server decides every save by
 * compare-and-set on the actor's exact subject; there is no lock, no index and no table beside
 * the stream, so there is nothing that could disagree with it.
 *
 * @example Open a store over a connection of yours
 * ```ts ignore
 * import { connect } from "@nats-io/transport-node";
 * import { createEvent, JetStreamEventStore } from "@flowmade-one/aether";
 *
 * const connection = await connect({ servers: "127.0.0.1:4222", maxReconnectAttempts: -1 });
 * await using store = await JetStreamEventStore.open(connection, { namespace: "shop" }); // Deno, or Node 24 and newer
 * await store.saveEvent(createEvent({
 *   eventType: "OrderPlaced",
 *   actorId: "order-123",
 *   version: 1,
 *   data: { total: 99.99 },
 * }));
 * ```
 */
export class JetStreamEventStore implements EventStore {
  /** Keeps stores apart. */
  readonly namespace: string;
  /** The JetStream stream that holds the events. */
  readonly stream: string;
  /**
   * See {@linkcode EventStore.identity}: it is that of this stream, even if another stream had or
   * gets its name.
   */
  readonly identity: string;
  /** Shards that actors are spread over; fixed when the stream is made. */
  readonly shards: number;
  readonly #planner: SavePlanner;
  readonly #path: SavePath;
  readonly #parts: ReaderParts;
  readonly #history: History;
  readonly #log: Log;
  readonly #latest: LatestVersions;
  readonly #monitor: StoreMonitor;
  readonly #subscriptions: Subscriptions;
  readonly #notifier: StoredNotifier;
  readonly #unwatch: () => Promise<void>;
  #disposed = false;

  private constructor(
    connection: Connection,
    api: StreamApi,
    opened: OpenedStream,
    options: InnerJetStreamEventStoreOptions,
  ) {
    needOpened(api instanceof StreamApi, "JetStreamEventStore", "open(connection, options)");
    const { namespace = "default", codec, detour } = options;
    const { genesis: { shards }, identity, config: { max_msg_size: limit = -1 } } = opened;
    this.namespace = namespace;
    this.stream = api.layout.stream;
    this.identity = identity;
    this.shards = shards;
    const attributes = {
      "db.system.name": "nats",
      "db.namespace": namespace,
      "db.collection.name": this.stream,
    };
    this.#monitor = new StoreMonitor(attributes);
    this.#subscriptions = new Subscriptions(this.#monitor);
    this.#notifier = new StoredNotifier(namespace, options);
    const rules = rulesOf(options.events);
    const upcasters = upcastersOf(options.upcasters, rules);
    const reading = { codec, upcasters, rules };
    const parts = partsOf(api, opened, options, reading, this.#notifier);
    if (limit > 0) parts.publisher.limits.bytes = limit;
    const { heads, headReader, check, ends, manyEnds, events, queue, requestTimeout, timeout } =
      parts;
    this.#parts = {
      api,
      requestTimeout,
      timeout,
      heads,
      headReader,
      check,
      replicated: parts.replicated,
      losses: opened.losses,
      shards: parts.shards,
      ends,
      manyEnds,
      events,
    };
    readers.set(this, this.#parts);
    this.#history = new History(this.#parts);
    this.#log = new Log(this.#parts);
    const { versionLookup: lookup = "last-message", cacheMaxAge: maxAge = 1000 } = options;
    this.#latest = new LatestVersions(connection, this.#parts, { lookup, maxAge });
    this.#planner = new SavePlanner(connection, {
      ...{ ...reading, timeout, notifies: !this.#notifier.silent },
      limits: parts.publisher.limits,
    });
    this.#path = detour === undefined ? queue : detour(parts, queue);
    keepCommandLog(this, new StreamCommandLog(parts, this.#planner, this.#path));
    keepPositions(this, new StreamPositions(parts));
    keepEventRules(this, rules);
    keepSaveChecks(this, {
      hasCodec: options.codec !== undefined,
      check: (events) => this.#planner.check(events),
    });
    this.#unwatch = watchReplicas(api, attributes, requestTimeout);
  }

  /**
   * Opens the store of a namespace, and makes its stream if there is none. It verifies an existing
   * stream, and never changes it. The connection stays the caller's to close.
   *
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The stream would lose events, has lost more than `acceptedLosses`, or
   * has other shards than asked.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, or the user may not use it.
   * @throws {TypeError} An option is of another kind; nothing was written.
   * @throws {RangeError} An option is out of its range; likewise.
   */
  static async open(
    connection: Connection,
    options: JetStreamEventStoreOptions = {},
  ): Promise<JetStreamEventStore> {
    needConnection(connection, "open the store");
    needObject(options, "open the store", "options");
    const own = asGiven(options);
    const { namespace = "default", replicas = 1, shards, timeout = 10_000, acceptedLosses } = own;
    const layout = new Layout(namespace);
    checkOptions(own);
    const prefix = apiPrefixOf(own);
    const requests = openRequests(connection);
    try {
      const api = new StreamApi(requests, layout, prefix);
      const opened = await openStream(api, { replicas, shards, timeout, acceptedLosses });
      return new JetStreamEventStore(connection, api, opened, own);
    } catch (error) {
      requests.close();
      throw error;
    }
  }

  /** Counts of all that went through this store so far; a snapshot, which does not change later. */
  get metrics(): StoreMetrics {
    return this.#monitor.snapshot();
  }

  /** See {@linkcode EventStore.saveEvent}. */
  saveEvent(event: Event): Promise<SaveReceipt> {
    return this.saveEvents([event]);
  }

  /** See {@linkcode EventStore.saveEvents}. */
  saveEvents(events: readonly Event[], options: SaveOptions = {}): Promise<SaveReceipt> {
    return this.#monitor.save(events, (begun) => this.#save(events, options, begun));
  }

  #save(events: readonly Event[], options: SaveOptions, begun: number): Promise<SaveReceipt> {
    try {
      this.#checkOpen("save events");
      const { checked, plan } = this.#planner.plan(events, options, begun);
      return this.#path.save(plan, checked);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** See {@linkcode EventStore.getEvents}. */
  async getEvents<E extends Event = Event>(actorId: string, fromVersion = 0): Promise<E[]> {
    return await this.#monitor.read("getEvents", actorId, async (reading) => {
      const range = prepareRange(actorId, { fromVersion });
      this.#checkOpen("read events");
      let events: Event[] = [];
      for await (const page of this.#history.forwards(actorId, range)) {
        if (events.length === 0) events = page;
        else for (const event of page) events.push(event);
      }
      reading.events = events.length;
      return events as E[];
    });
  }

  /**
   * See {@linkcode EventStore.getEventsOf}. The last messages of 256 actors take one request; an
   * actor whose history they do not hold whole takes another one, of which 64 are under way at once.
   */
  async getEventsOf<E extends Event = Event>(
    actorIds: readonly string[],
  ): Promise<Map<string, E[]>> {
    return await this.#monitor.read("getEventsOf", undefined, async (reading) => {
      const actors = prepareActors(actorIds);
      this.#checkOpen("read events");
      const histories = await this.#history.ofMany(actors);
      for (const events of histories.values()) reading.events += events.length;
      return histories as Map<string, E[]>;
    });
  }

  /** See {@linkcode EventStore.readEvents}. */
  readEvents<E extends Event = Event>(
    actorId: string,
    options: ReadOptions = {},
  ): AsyncIterable<E> {
    return this.#readEvents(actorId, asGiven(options)) as AsyncIterable<Event> as AsyncIterable<E>;
  }

  /** See {@linkcode EventStore.getEventsWithErrors}. */
  async getEventsWithErrors<E extends Event = Event>(
    actorId: string,
  ): Promise<EventsWithErrors<E>> {
    return await this.#monitor.read("getEventsWithErrors", actorId, async (reading) => {
      checkActorId(actorId);
      this.#checkOpen("read events");
      const { events, errors } = await salvage(this.#parts, actorId);
      reading.events = events.length;
      return { events: events as E[], errors };
    });
  }

  /** See {@linkcode EventStore.readAll}. */
  readAll(options: ReadAllOptions = {}): AsyncGenerator<RecordedEvent, void> {
    return this.#readAll(queryAsGiven(options));
  }

  /**
   * See {@linkcode EventStore.subscribe}. Through a consumer in the server's memory, made when
   * the iteration begins and again whenever it is lost; `eventTypes` alone is sorted out here.
   */
  subscribe<E extends Event = Event>(options: EventSubscriptionOptions = {}): EventSubscription<E> {
    needObject(options, "subscribe", "options");
    needSignal(options.signal, "subscribe");
    const source = new LiveSource(this.#parts, options);
    return this.#subscriptions.add(source, options.signal, () => this.#checkOpen("subscribe"));
  }

  /** See {@linkcode EventStore.listActors}; the server keeps the list, no event is read. */
  async *listActors({ category }: ListActorsOptions = {}): AsyncGenerator<string, void> {
    if (category !== undefined) checkCategory(category);
    this.#checkOpen("list actors");
    yield* this.#log.actors(category);
  }

  /**
   * See {@linkcode EventStore.getLatestVersion}. From memory, without I/O, if the server named the
   * actor's version within `cacheMaxAge`; else one request for the last message of the actor's
   * subject. The answer may be outdated when it arrives: a hint, never a lock.
   */
  async getLatestVersion(actorId: string, options?: LatestVersionOptions): Promise<number> {
    if (options?.fresh !== true && !this.#disposed) {
      const version = this.#latest.remembered(actorId);
      if (version !== undefined) {
        this.#monitor.hit();
        return version;
      }
    }
    checkActorId(actorId);
    return await this.#monitor.lookUp(actorId, async () => {
      this.#checkOpen(`look up the latest version of "${actorId}"`);
      return await this.#latest.one(actorId);
    });
  }

  /**
   * See {@linkcode EventStore.getLatestVersions}. The actors that memory does not answer for take
   * one request for each 256 of them.
   */
  async getLatestVersions(
    actorIds: readonly string[],
    options?: LatestVersionOptions,
  ): Promise<Map<string, number>> {
    const actors = prepareActors(actorIds);
    this.#checkOpen("look up latest versions");
    const versions = new Map<string, number>();
    const unknown: string[] = [];
    for (const actorId of actors) {
      const version = options?.fresh === true ? undefined : this.#latest.remembered(actorId);
      if (version === undefined) unknown.push(actorId);
      // Also those that are not known yet, for the order.
      versions.set(actorId, version ?? 0);
    }
    if (actors.length > unknown.length) this.#monitor.hit(actors.length - unknown.length);
    if (unknown.length === 0) return versions;
    await this.#monitor.lookUpMany(unknown.length, () => this.#latest.many(unknown, versions));
    return versions;
  }

  /** Ends subscriptions, waits for saves and notifications under way; the connection stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#subscriptions.end();
    await this.#path.idle();
    await this.#notifier.settled();
    await this.#unwatch();
    await this.#parts.api.ended();
    this.#parts.api.requests.close();
    this.#parts.events.end();
  }

  async *#readAll(options: ReadAllOptions): AsyncGenerator<RecordedEvent, void> {
    const reading = this.#monitor.reading("readAll");
    try {
      const { from, filter, signal } = prepareReadAll(options);
      this.#checkOpen("read the store");
      yield* this.#log.read(from, filter, signal, () => reading.events++);
    } catch (error) {
      throw reading.failed(error);
    } finally {
      reading.end();
    }
  }

  async *#readEvents(actorId: string, options: InnerReadOptions): AsyncGenerator<Event, void> {
    const reading = this.#monitor.reading("readEvents", actorId);
    try {
      const { backwards, ...range } = prepareRange(actorId, options);
      this.#checkOpen("read events");
      const { signal } = range;
      signal?.throwIfAborted();
      if (range.limit === 0) return;
      const pages = backwards
        ? this.#history.backwards(actorId, range)
        : this.#history.forwards(actorId, range, asStoredMessage(options.last));
      for await (const page of pages) {
        for (const event of page.slice(0, range.limit - reading.events)) {
          reading.events++;
          yield event;
          signal?.throwIfAborted();
        }
        if (reading.events >= range.limit) return;
      }
    } catch (error) {
      throw reading.failed(error);
    } finally {
      reading.end();
    }
  }

  #checkOpen(what: string): void {
    if (this.#disposed) throw new StoreUnavailableError(`Cannot ${what}: the store is disposed`);
    const { failure } = this.#parts.check;
    if (failure !== undefined) throw failure;
  }
}
