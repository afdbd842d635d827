import { decodeJson, isRecord } from "../store/base/json.ts";
import type { Counts } from "./metrics.ts";
import { prepareEvent } from "../store/check/events.ts";
import type { Event, EventMetadata } from "../store/event.ts";
import type { PreparedEvent } from "../store/format/encode.ts";

/** Levels of nesting that an event may have, as on saving. */
const MAX_DEPTH = 500;

/** One event on its way to the subscribers of one node, which share it. */
export interface BusDelivery {
  /** The namespace that it was published in. */
  readonly namespace: string;
  /** The event, frozen; only its date could be altered, so no subscriber gets this very object. */
  readonly event: Event;
  /** When it came, by the monotonic clock, in ms. */
  readonly since: number;
  /** The counts to add to. */
  readonly counts: Counts;
}

/**
 * Checks, copies and encodes an event for publishing, by the rules of a store; throws as a store
 * does.
 */
export function sealEvent(event: Event, maxBytes: number): PreparedEvent {
  return prepareEvent(event, maxBytes);
}

/**
 * The frozen event in `body`, JSON in UTF-8. Leaves out fields that do not belong to an event.
 * Throws if it is not an event of this type and actor: anybody may have sent it.
 */
export function openEvent(body: Uint8Array, eventType: string, actorId: string): Event {
  const value = decodeJson(body) as Record<string, unknown>;
  const { id, version, data } = value;
  const timestamp = new Date(value.timestamp as string);
  const right = typeof id === "string" && id !== "" && value.eventType === eventType &&
    value.actorId === actorId && Number.isSafeInteger(version) && (version as number) >= 1 &&
    data !== undefined && typeof value.timestamp === "string" && !Number.isNaN(+timestamp);
  if (!right) throw new TypeError("Cannot read the message: it is no event of its subject");
  freeze(data, 0);
  const event = { id, eventType, actorId, version: version as number, data, timestamp };
  return value.metadata === undefined ? event : { ...event, metadata: metadataOf(value.metadata) };
}

/** Makes an event for one subscriber, which can only read its data. */
export function handOut(event: Event): Event {
  return Object.freeze({ ...event, timestamp: new Date(event.timestamp) });
}

function metadataOf(value: unknown): EventMetadata {
  if (!isRecord(value)) {
    throw new TypeError("Cannot read the message: its metadata is no object");
  }
  for (const key of Object.keys(value)) {
    if (typeof (value as Record<string, unknown>)[key] !== "string") {
      throw new TypeError(`Cannot read the message: its metadata.${key} is not a string`);
    }
  }
  return Object.freeze(value) as EventMetadata;
}

function freeze(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_DEPTH) throw new RangeError(`Cannot read data nested over ${MAX_DEPTH} levels`);
  Object.freeze(value);
  for (const key in value) freeze((value as Record<string, unknown>)[key], depth + 1);
}
