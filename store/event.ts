import { needObject } from "./base/given.ts";
import { uuidv7 } from "./base/uuid.ts";

/** Strings beside an event's data: for tracing, for audit, and under the user's own keys. */
export interface EventMetadata {
  /** Shared by all events that came from one first cause, such as one request of a user. */
  readonly correlationId?: string;
  /** The id of the event or command that led to this one. */
  readonly causationId?: string;
  /** The user who caused it. */
  readonly userId?: string;
  /** W3C trace context of the span that made the event. */
  readonly traceparent?: string;
  /** W3C trace state, beside `traceparent`. */
  readonly tracestate?: string;
  /** The user's own keys. Values are strings; a key that is `undefined` is left out. */
  readonly [key: string]: string | undefined;
}

/**
 * One fact about one actor. Immutable: stores keep copies and hand out copies.
 *
 * @typeParam Type The name of the fact, a literal such as `"OrderPlaced"`.
 * @typeParam Data A value that JSON carries faithfully; the store refuses any other on saving.
 */
export interface Event<Type extends string = string, Data = unknown> {
  /** Unique; {@linkcode createEvent} makes a UUIDv7. The store recognises a repeated save by it. */
  readonly id: string;
  /** The name of the fact, in the past tense by custom. */
  readonly eventType: Type;
  /** The actor (aggregate, entity, stream) that the fact is about. */
  readonly actorId: string;
  /** Position in the actor's history: a safe integer from 1 on, strictly increasing, gaps allowed. */
  readonly version: number;
  /** The fact itself. May be `null`, not `undefined`; a property that is `undefined` counts as absent. */
  readonly data: Data;
  /** When it happened, by the clock of the process that made the event; to the millisecond. */
  readonly timestamp: Date;
  /** Correlation, causation, tracing and the user's own strings. */
  readonly metadata?: EventMetadata;
}

/** The events that were saved together, all or none. */
export interface Commit {
  /** Names the commit, uniquely in its store. */
  readonly op: string;
  /** The place of the event in it, from 0. */
  readonly index: number;
  /** How many events it has, over all of their actors. */
  readonly count: number;
}

/** An event as a store keeps it: with its position in the whole store. */
export interface RecordedEvent<Type extends string = string, Data = unknown>
  extends Event<Type, Data> {
  /**
   * Position in the store's one order: a safe integer that grows from event to event, with gaps
   * that mean nothing. `streamSequenceOf()` gives the server's number for its message.
   */
  readonly sequence: number;
  /** The commit that it is of. */
  readonly commit: Commit;
}

/** The argument of {@linkcode createEvent}: an event without its `id` and `timestamp`. */
export type EventInit<E extends Event = Event> = E extends Event
  ? Pick<E, "eventType" | "actorId" | "version" | "data" | "metadata">
  : never;

/**
 * Makes an event: fills in a fresh UUIDv7 as `id` and the present time as `timestamp`.
 * Does not check what they are; a store does on saving.
 *
 * @example An event of a declared type, and one whose type is inferred
 * ```ts
 * import { createEvent, type Event } from "@flowmade-one/aether";
 *
 * type OrderPlaced = Event<"OrderPlaced", { total: number }>;
 *
 * const placed = createEvent<OrderPlaced>({
 *   eventType: "OrderPlaced",
 *   actorId: "order-123",
 *   version: 1,
 *   data: { total: 99.99 },
 * });
 * const shipped = createEvent({
 *   eventType: "OrderShipped",
 *   actorId: "order-123",
 *   version: 2,
 *   data: { carrier: "FastShip" },
 * });
 * console.log(placed.data.total, shipped.data.carrier);
 * ```
 */
export function createEvent<const Type extends string, Data>(
  init: EventInit<Event<Type, Data>>,
): Event<Type, Data>;
/** The same for a declared event type, or a union of them. */
export function createEvent<E extends Event>(init: EventInit<E>): E;
export function createEvent(init: EventInit): Event {
  needObject(
    init,
    "create the event",
    "its argument",
    "an object with eventType, actorId and so on",
  );
  const { eventType, actorId, version, data, metadata } = init;
  const event = { id: uuidv7(), eventType, actorId, version, data, timestamp: new Date() };
  return metadata === undefined ? event : { ...event, metadata };
}

/**
 * A copy of `event` whose metadata names its cause: `causationId` is the id of `by`;
 * `correlationId` is that of `by`, or the id of `by` if it has none; the trace context of
 * `by` is carried over unless `event` has its own.
 *
 * @param event The effect.
 * @param by The cause.
 */
export function causedBy<E extends Event>(event: E, by: Event): E {
  needObject(event, "name a cause", "event");
  needObject(by, "name a cause", "by");
  const { correlationId = by.id, traceparent, tracestate } = by.metadata ?? {};
  const trace = traceparent === undefined
    ? {}
    : tracestate === undefined
    ? { traceparent }
    : { traceparent, tracestate };
  const own = event.metadata?.traceparent === undefined ? trace : {};
  return { ...event, metadata: { ...event.metadata, ...own, correlationId, causationId: by.id } };
}
