import { decodeEvent } from "../store/decode.ts";
import type { Event } from "../store/event.ts";
import type { Counts } from "./metrics.ts";

/** Levels of nesting that an event may have, as on saving. */
const MAX_DEPTH = 500;

/** One event on its way to the subscribers of one node, who share it. */
export interface Delivery {
  /** The namespace that it was published in. */
  readonly namespace: string;
  /** The event, frozen; only its date could be altered, so nobody is given this very object. */
  readonly event: Event;
  /** When it came, by the monotonic clock, in ms. */
  readonly since: number;
  /** Where it is counted. */
  readonly counts: Counts;
}

/**
 * The frozen event in `body`, which is encoded as in a store. Throws if it is not one of
 * `actorId`; what does not belong to an event is left out.
 */
export function openEvent(body: Uint8Array, actorId: string): Event {
  const { id, eventType, version, data, timestamp, metadata } = decodeEvent(body, 0, actorId);
  freeze(data, 0);
  const event = { id, eventType, actorId, version, data, timestamp };
  if (metadata === undefined) return event;
  for (const key in metadata) {
    if (typeof metadata[key] !== "string") throw new TypeError(`metadata.${key} is no string`);
  }
  return { ...event, metadata: Object.freeze(metadata) };
}

/** What one subscriber gets: an event of its own, whose data it can only read. */
export function handOut(event: Event): Event {
  return Object.freeze({ ...event, timestamp: new Date(event.timestamp) });
}

function freeze(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_DEPTH) throw new RangeError(`Cannot read data nested over ${MAX_DEPTH} levels`);
  Object.freeze(value);
  for (const key in value) freeze((value as Record<string, unknown>)[key], depth + 1);
}
