import { refusePromise } from "./base/hook.ts";
import { CorruptEventError, UnknownSchemaError, type UnreadableEvent } from "./errors.ts";
import type { Event } from "./event.ts";
import { reasonOf } from "./base/reason.ts";

/**
 * Brings the data of an event from one schema to the next; `event` is as it was before this step.
 * Returns the new data synchronously; it may be null but not undefined.
 */
export type Upcaster = (data: unknown, event: Event) => unknown;

/**
 * For each event type, the steps from schema 1 to 2, from 2 to 3, and so on. The store saves an
 * event with the newest schema's number and brings older ones up to it while reading; stored
 * events never change. A type that is not listed is at schema 1.
 *
 * @typeParam E The union of the events: a type that none of them has is a compile error.
 *
 * @example Orders once had a total in cents, then no currency
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { createEvent, JetStreamEventStore, type Upcasters } from "@flowmade-one/aether";
 *
 * const connection = await connect({ servers: "localhost:4222" });
 * const namespace = `upcasters-${crypto.randomUUID()}`;
 *
 * // The first release saved cents.
 * const first = await JetStreamEventStore.open(connection, { namespace });
 * const order = { eventType: "OrderPlaced", actorId: "order-1", version: 1 };
 * await first.saveEvent(createEvent({ ...order, data: { cents: 9999 } }));
 *
 * // The third one reads what the first has saved.
 * const upcasters: Upcasters = {
 *   OrderPlaced: [
 *     (data) => ({ total: (data as { cents: number }).cents / 100 }),
 *     (data) => ({ ...(data as { total: number }), currency: "EUR" }),
 *   ],
 * };
 * const third = await JetStreamEventStore.open(connection, { namespace, upcasters });
 * const [event] = await third.getEvents("order-1");
 * const { total, currency } = event!.data as { total: number; currency: string };
 * console.log(total.toFixed(2), currency.toLowerCase()); // 99.99 eur
 *
 * for (const store of [first, third]) await store[Symbol.asyncDispose]();
 * await connection.close();
 * ```
 */
export type Upcasters<E extends Event = Event> = string extends E["eventType"] ? {
    /** The steps of one event type, in order. */
    readonly [eventType: string]: readonly Upcaster[];
  }
  : {
    readonly [
      /** The steps of one event type, in order. */
      Type in E["eventType"]
    ]?: readonly Upcaster[];
  };

/** The schema that events of this type are saved with. */
export function schemaOf(upcasters: Upcasters, eventType: string): number {
  return 1 + stepsOf(upcasters, eventType).length;
}

/**
 * `event`, saved with `schema`, in the newest shape.
 *
 * @throws {UnknownSchemaError} `schema` is newer than the newest that is known here.
 * @throws {CorruptEventError} A step failed.
 */
export function upcast(
  upcasters: Upcasters,
  event: Event,
  schema: number,
  facts: { readonly sequence: number },
): Event {
  const steps = stepsOf(upcasters, event.eventType);
  const known = 1 + steps.length;
  if (schema === known) return event;
  if (schema > known) {
    throw new UnknownSchemaError(facts.sequence, event.eventType, schema, known, factsOf(event));
  }
  let current = event;
  for (const [at, step] of steps.slice(schema - 1).entries()) {
    try {
      current = { ...current, data: checkedData(step(current.data, ownView(current))) };
    } catch (cause) {
      const reason = reasonOf(cause);
      throw new CorruptEventError(
        facts.sequence,
        `the upcaster of "${event.eventType}" from schema ${schema + at} failed: ${reason}`,
        { cause, event: factsOf(event) },
      );
    }
  }
  return current;
}

function factsOf({ actorId, version, id, eventType }: Event): UnreadableEvent {
  return { actorId, version, id, eventType };
}

/** The event as a step sees it: a step can change its data, and nothing else of it. */
function ownView(event: Event): Event {
  const { timestamp, metadata } = event;
  const own = metadata === undefined ? {} : { metadata: { ...metadata } };
  return { ...event, timestamp: new Date(timestamp), ...own };
}

function checkedData(data: unknown): unknown {
  if (data === undefined) throw new TypeError("it gave undefined");
  refusePromise(data, "it");
  return data;
}

function stepsOf(upcasters: Upcasters, eventType: string): readonly Upcaster[] {
  return Object.hasOwn(upcasters, eventType) ? upcasters[eventType]! : [];
}

/**
 * The error of an event that cannot be read, also if newer code could read it.
 *
 * @throws {unknown} `error`, if it is about something else.
 */
export function unreadable(error: unknown): CorruptEventError {
  if (error instanceof CorruptEventError) return error;
  if (!(error instanceof UnknownSchemaError)) throw error;
  const { sequence, eventType, schema, known, event } = error;
  const reason = `newer code saved it: "${eventType}" has schema ${schema}, and ${known} is the ` +
    "newest that is known here; deploy the upcasters of the newer code";
  return new CorruptEventError(sequence, reason, { cause: error, event });
}
