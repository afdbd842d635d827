import { reasonOf } from "../base/reason.ts";
import { describe } from "../base/token.ts";
import { utf8 } from "../base/utf8.ts";
import type { Codec } from "../codec.ts";
import { EventTooLargeError, InvalidEventError } from "../errors.ts";
import type { Event, EventMetadata } from "../event.ts";
import { HEADER_ROOM } from "./layout.ts";
import type { Upcasters } from "../upcast.ts";

/** An event as its JSON has it. */
export interface EventRecord extends Omit<Event, "timestamp" | "metadata"> {
  /** ISO 8601. */
  readonly timestamp: string;
  readonly metadata: EventMetadata | undefined;
}

/**
 * The bytes of `event` that are stored; a promise only where the codec takes its time.
 *
 * @throws {InvalidEventError} The codec failed.
 * @throws {EventTooLargeError} It is larger than the store takes.
 */
export function encodeEvent(
  event: EventRecord,
  { codec, maxBytes }: Encoding,
): Uint8Array | Promise<Uint8Array> {
  if (codec === undefined) {
    // With a line end, so that the bodies of a message are JSON lines. It is not counted.
    return fitting(utf8(JSON.stringify(event) + "\n"), event, maxBytes, 1);
  }
  const encoded = encodeWith(codec, event);
  if (encoded instanceof Uint8Array) return fitting(encoded.slice(), event, maxBytes);
  const body = Promise.resolve(encoded).then(
    // A copy, for the codec may use its bytes again.
    (bytes) => fitting(bytes instanceof Uint8Array ? bytes.slice() : bytes, event, maxBytes),
    (cause) => Promise.reject(codecFailed(cause)),
  );
  body.catch(() => {}); // Told when the save's turn comes.
  return body;
}

/** The events with their bodies at hand. */
export async function withBodies(events: readonly CheckedEvent[]): Promise<PreparedEvent[]> {
  return await Promise.all(events.map(async (event) => ({ ...event, body: await event.body })));
}

/** Whether all bodies are at hand already. */
export function haveBodies(events: readonly CheckedEvent[]): events is readonly PreparedEvent[] {
  return events.every(({ body }) => body instanceof Uint8Array);
}

function encodeWith(
  codec: Codec<Event>,
  { timestamp, metadata, ...facts }: EventRecord,
): Uint8Array | Promise<Uint8Array> {
  try {
    return codec.encode({
      ...facts,
      timestamp: new Date(timestamp),
      ...(metadata && { metadata }),
    });
  } catch (cause) {
    throw codecFailed(cause);
  }
}

function codecFailed(cause: unknown): InvalidEventError {
  const reason = reasonOf(cause);
  return new InvalidEventError(`the codec failed: ${reason}`, { cause });
}

function fitting(
  body: Uint8Array,
  { actorId, version }: EventRecord,
  maxBytes: number,
  end = 0,
): Uint8Array {
  if (!(body instanceof Uint8Array)) {
    throw new InvalidEventError(`the codec gave ${describe(body)}, not a Uint8Array`);
  }
  const limit = maxBytes - HEADER_ROOM;
  const size = body.length - end;
  if (size > limit) throw new EventTooLargeError(actorId, version, size, limit);
  return body;
}

/** An event that is checked and copied: what the caller does to the original changes nothing. */
export interface CheckedEvent {
  readonly id: string;
  readonly eventType: string;
  readonly actorId: string;
  readonly version: number;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly metadata: EventMetadata | undefined;
  /** Which shape its data has. */
  readonly schema: number;
  /** Whether its body is JSON, so that it can be compared with a stored one. */
  readonly isJson: boolean;
  /** The event as it is stored. */
  readonly body: Uint8Array | Promise<Uint8Array>;
}

/** A checked event whose body is at hand. */
export interface PreparedEvent extends CheckedEvent {
  readonly body: Uint8Array;
}

/** How a store encodes events, and what fits. */
export interface Encoding {
  /** Bytes that one message may take, headers included. */
  readonly maxBytes: number;
  readonly codec: Codec<Event> | undefined;
  readonly upcasters: Upcasters;
}
