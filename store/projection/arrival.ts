import { isAetherError, type UnreadableEvent } from "../errors.ts";
import type { Event, RecordedEvent } from "../event.ts";
import type { ReadAllOptions } from "../options.ts";
import { isLoss } from "../read/losses.ts";
import type { EventStore } from "../store.ts";

/** The facts that a projection keeps of an event: copies, as its handler may change the event. */
export interface EventFacts {
  readonly sequence: number;
  /** `""` if it cannot be read. */
  readonly id: string;
  readonly actorId: string;
  /** `""` if it cannot be read. */
  readonly eventType: string;
  /** 0 if it cannot be read. */
  readonly version: number;
}

/** The next event of a partition, or the error of one that cannot be read. */
export interface Arrival<E extends Event> extends EventFacts {
  /** The event as it was read, for one call of the handler; `undefined` once that was made. */
  event: (E & RecordedEvent) | undefined;
  /** Why it cannot be read. */
  readonly failure: { readonly error: unknown } | undefined;
  /** Whether `failure` was seen: another try reads the event again. */
  isTried?: boolean;
  /** Whether it was stored before the reading began. @default {true} */
  isReplay?: boolean;
}

/** The arrival of an event that was read. */
export function arrived<E extends Event>(event: E & RecordedEvent): Arrival<E> {
  const { sequence, id, actorId, eventType, version } = event;
  return { sequence, id, actorId, eventType, version, event, failure: undefined };
}

/** An error that says that one event cannot be read. */
export interface UnreadableError extends Error {
  readonly sequence: number;
  /** `undefined` for a message that belongs to no actor. */
  readonly event: UnreadableEvent | undefined;
}

/** Whether `error` is about one event that cannot be read: behind it, reading goes on. */
export function isUnreadable(error: unknown): error is UnreadableError {
  return isAetherError(error, "CorruptEventError") || isAetherError(error, "UnknownSchemaError");
}

/** The arrival of an event that cannot be read; `undefined` for a message of no actor. */
export function unreadableArrival<E extends Event>(error: UnreadableError): Arrival<E> | undefined {
  if (error.event === undefined) return undefined;
  const { actorId, id = "", eventType = "", version = 0 } = error.event;
  const { sequence } = error;
  return { sequence, id, actorId, eventType, version, event: undefined, failure: { error } };
}

/**
 * Reads as `readAll()` does, and goes on behind events that cannot be read, and behind lost ones.
 * Messages that belong to no actor are passed over: the subscriber notices them, and the losses.
 *
 * @param onLoss Called with the error that says that events are lost, before those behind them come;
 * an error that it throws ends the reading.
 */
export async function* readArrivals<E extends Event>(
  store: EventStore,
  options: ReadAllOptions & { readonly from: number },
  onLoss: (error: Error) => void = () => {},
): AsyncGenerator<Arrival<E>, void> {
  /** The place behind the last loss. */
  let behind = -1;
  for (let { from } = options, next = from;; from = next) {
    try {
      for await (const event of store.readAll({ ...options, from })) {
        next = event.sequence + 1;
        yield arrived(event as E & RecordedEvent);
      }
      return;
    } catch (error) {
      if (!isUnreadable(error) || error.sequence < from) throw error;
      if (isLoss(error)) {
        if (error.sequence <= behind) throw error;
        onLoss(error);
        // The error names the message behind the loss, which can be read.
        behind = error.sequence;
        next = Math.max(next, error.sequence);
        continue;
      }
      const arrival = unreadableArrival<E>(error);
      next = error.sequence + 1;
      if (arrival !== undefined) yield arrival;
    }
  }
}
