import type { Codec } from "./codec.ts";
import type { CorruptEventError } from "./errors.ts";
import type { Event, RecordedEvent } from "./event.ts";
import type {
  EventSubscriptionOptions,
  LatestVersionOptions,
  ListActorsOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  SaveReceipt,
} from "./options.ts";
import type { Upcasters } from "./upcast.ts";

/** The result of {@linkcode EventStore.getEventsWithErrors}. */
export interface EventsWithErrors<E extends Event = Event> {
  /** The events that can be read, in order. */
  readonly events: E[];
  /**
   * The errors of the others, each with its place in the store; if newer code saved an event, its
   * error's `cause` is an `UnknownSchemaError`.
   */
  readonly errors: { readonly sequence: number; readonly error: CorruptEventError }[];
}

/**
 * Keeps the histories of actors. Every implementation promises:
 *
 * 1. The store refuses a version that is not newer than the actor's latest, by
 *    `VersionConflictError`.
 * 2. When any number of writers, in any number of processes, save one version of one actor,
 *    exactly one wins.
 * 3. Saving stored events again resolves with `duplicate: true`: same versions, ids, types and data.
 *    Timestamps and metadata are not compared, as a caller that tries again makes them again; with a
 *    codec neither is the data, as it may encode the same data in other bytes.
 * 4. The store settles a lost acknowledgement by reading back; a save is stored once or not at all.
 * 5. `saveEvents` stores all of its events or none, over several actors too.
 * 6. A read sees the events that this store has saved, complete and in order, or fails.
 * 7. `getLatestVersion` costs the same however many events there are; `getLatestVersions` and
 *    `getEventsOf` give for each actor what reading it alone would.
 * 8. No input reaches another actor's events.
 *
 * Methods reject; they never throw synchronously. Any of them may reject with `StoreUnavailableError`,
 * `StoreRefusedError` or `StreamRegressedError`, and a read with `UnknownSchemaError` too. They go by
 * the options that they were called with, whatever the caller makes of its object afterwards. Disposal
 * waits for saves under way.
 */
export interface EventStore extends AsyncDisposable {
  /**
   * Identifies this set of events: never empty, never reused, stable for as long as the events
   * are kept. Save it with every position you remember; a position means nothing in a store with
   * another identity.
   */
  readonly identity: string;

  /**
   * Saves one event at its version.
   *
   * @throws {VersionConflictError} The actor has this version or a newer one already, also if the
   * event there has the same id and other content.
   * @throws {InvalidEventError} The event cannot be stored as it is, or its id is that of one of the
   * last events of the actor at another version.
   * @throws {EventTooLargeError} The event is larger than the store takes.
   * @throws {SaveOutcomeUnknownError} The server did not answer before the deadline.
   * @throws {StoreUnavailableError} The store could not be reached; nothing was saved.
   * @throws {StoreRefusedError} The server refuses, and would again; nothing was saved.
   */
  saveEvent(event: Event): Promise<SaveReceipt>;

  /**
   * Saves several events, of one or several actors, all or none. Versions of one actor must
   * increase within the call. They take at most 1,000 messages, each with up to 256 events of one
   * actor, so 256,000 events at most.
   *
   * @throws {RangeError} There are no events, or they take more than 1,000 messages; nothing was sent.
   * @throws {VersionConflictError} As in {@linkcode EventStore.saveEvent}, for the first actor
   * that has moved on or is not at an expected version; also if a part of the batch is stored
   * already.
   */
  saveEvents(events: readonly Event[], options?: SaveOptions): Promise<SaveReceipt>;

  /**
   * The events of one actor at `fromVersion` and above, in ascending order; `[]` for an unknown
   * actor. They include all that was saved through this store before the call.
   *
   * @param actorId The actor.
   * @param fromVersion First version wanted. @default {0}
   * @throws {CorruptEventError} A stored message is not an event, or a piece is missing.
   */
  getEvents<E extends Event = Event>(actorId: string, fromVersion?: number): Promise<E[]>;

  /**
   * The events of several actors, by actor: for each what {@linkcode EventStore.getEvents} gives,
   * `[]` for an unknown one, in fewer requests. Each actor is in the result once, in the order of
   * the array. The histories need not be of one moment. All of them are in memory at once.
   *
   * @param actorIds The actors; any number, and `[]` gives an empty map.
   * @throws {CorruptEventError} A stored message of one of them is not an event, or a piece is
   * missing.
   * @throws {RangeError} An id is impossible; nothing was asked for.
   */
  getEventsOf<E extends Event = Event>(actorIds: readonly string[]): Promise<Map<string, E[]>>;

  /**
   * Reads the events of one actor in constant memory, complete and in order as
   * {@linkcode EventStore.getEvents} does: a page at a time, the next one fetched while this
   * one is consumed.
   *
   * @throws {CorruptEventError} A stored message is not an event, or a piece is missing.
   * @throws {RangeError} A version or the limit is impossible.
   */
  readEvents<E extends Event = Event>(actorId: string, options?: ReadOptions): AsyncIterable<E>;

  /**
   * The events of one actor that can be read, and the errors of those that cannot: for
   * inspecting a damaged history, not for decisions.
   */
  getEventsWithErrors<E extends Event = Event>(actorId: string): Promise<EventsWithErrors<E>>;

  /**
   * Reads the whole store in its one order, in constant memory, up to its end at the time when
   * the read begins. Sequences have gaps that mean nothing.
   *
   * @throws {CorruptEventError} A stored message is not an event, or messages before it are lost.
   */
  readAll(options?: ReadAllOptions): AsyncIterable<RecordedEvent>;

  /**
   * Subscribes to the events of the store, in its one order: replays the stored events, then goes
   * on with each one that any store saves, with no gap and no duplicate in between.
   *
   * @typeParam E The events of the store, as the caller declares them; nothing checks this.
   * @throws {StreamRegressedError} When iterated: `from` lies more than one past the end of the
   * store, or the stream was restored, truncated or replaced since it was opened.
   * @throws {CorruptEventError} When iterated: a stored message is not an event, or messages before
   * it are lost.
   * @throws {StoreRefusedError} When iterated: the stream takes no further subscription. Each takes
   * a consumer of the server, which allows 1,000 of a stream unless it is configured otherwise.
   * @throws {RangeError} When iterated: `from` is not a sequence, or the filter is impossible.
   *
   * @example Follow a store until a certain event
   * ```ts
   * import { createEvent, InMemoryEventStore } from "@flowmade-one/aether";
   *
   * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
   * const order = { actorId: "order-123", data: { total: 99.99 } };
   * await store.saveEvent(createEvent({ ...order, eventType: "OrderPlaced", version: 1 }));
   * setTimeout(() =>
   *   store.saveEvent(createEvent({ ...order, eventType: "OrderClosed", version: 2 }))
   * );
   * for await (const event of store.subscribe({ filter: { category: "order" } })) {
   *   console.log(event.sequence, event.eventType);
   *   if (event.eventType === "OrderClosed") break;
   * }
   * ```
   */
  subscribe<E extends Event = Event>(options?: EventSubscriptionOptions): EventSubscription<E>;

  /**
   * The ids of all actors that have events, each once, in no particular order. One that comes while
   * they are listed may be among them.
   */
  listActors(options?: ListActorsOptions): AsyncIterable<string>;

  /** The actor's latest version; 0 for an unknown actor. One request at most, O(1). */
  getLatestVersion(actorId: string, options?: LatestVersionOptions): Promise<number>;

  /**
   * The latest versions of several actors, by actor: what {@linkcode EventStore.getLatestVersion}
   * gives for each, in far fewer requests. Each actor is in the result once, in the order of the
   * array; 0 for an unknown one. The versions need not be of one moment.
   *
   * @param actorIds The actors; any number, and `[]` gives an empty map.
   * @throws {RangeError} An id is impossible; nothing was asked for.
   *
   * @example
   * ```ts
   * import { createEvent, InMemoryEventStore } from "@flowmade-one/aether";
   *
   * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
   * const order = { eventType: "OrderPlaced", actorId: "order-1", data: null };
   * await store.saveEvent(createEvent({ ...order, version: 1 }));
   * const versions = await store.getLatestVersions(["order-1", "order-2"]);
   * console.log(versions.get("order-1"), versions.get("order-2")); // 1 0
   * ```
   */
  getLatestVersions(
    actorIds: readonly string[],
    options?: LatestVersionOptions,
  ): Promise<Map<string, number>>;
}

/** Publishes {@linkcode EVENT_STORED} events for stores; an `EventBus` is one. */
export interface Broadcaster {
  /** Publishes `event` in `namespace`, the store's own. A rejection never fails the save. */
  publish(namespace: string, event: Event): Promise<void> | void;
}

/** Definitions of events, by `defineEvents()`. */
export interface EventDefinitions {
  /** The JSON Schemas of their data, by event type. */
  jsonSchema(): Readonly<Record<string, object>>;
}

/** Options that all stores share. */
export interface EventStoreOptions {
  /** Keeps stores apart: nothing is shared between two namespaces. @default {"default"} */
  readonly namespace?: string;
  /** Turns events into the bytes that are stored, and back. @default {JSON} */
  readonly codec?: Codec<Event>;
  /** Bring old shapes of events up to date while reading. @default {none} */
  readonly upcasters?: Upcasters;
  /** The events of the store, by `defineEvents()`: others are refused. @default {any} */
  readonly events?: EventDefinitions;
  /** Called for each stored event, after the save. @default {undefined} */
  readonly broadcaster?: Broadcaster;
  /** Called when the broadcaster fails or falls behind by over 1,000. @default {console.warn} */
  readonly onBroadcastError?: (error: unknown, event: Event) => void;
}

/**
 * The events of a store, in its order: those that are stored already, then each one as it is
 * saved; none missed and none twice, whatever happens to servers and connections in between.
 * Sequences have gaps that mean nothing.
 *
 * It reads a bounded number of events ahead, however slow its reader is, and waits for as long
 * as the server is out of reach. It ends quietly on `break`, on its `signal`, on disposal, and
 * on disposal of the store. It also ends when it throws, for example `CorruptEventError` (to pass
 * over it, subscribe again from its `sequence` + 1, or from its `sequence` if messages before it are
 * lost) or `StreamRegressedError`.
 */
export interface EventSubscription<E extends Event = Event>
  extends AsyncIterable<E & RecordedEvent>, AsyncDisposable {
  /**
   * Resolves once the reader has finished the last event that was stored when `subscribe()` was
   * called, that is, when it asks for the next one. Rejects if the subscription ends before.
   * Nobody needs to await it.
   */
  readonly caughtUp: Promise<void>;
  /** The iterator itself, the same at each call: two loops divide the events between them. */
  [Symbol.asyncIterator](): AsyncIterator<E & RecordedEvent, undefined>;
  /** Ends it and frees what it holds on the server; may be repeated. */
  [Symbol.asyncDispose](): Promise<void>;
}
