import type { Codec } from "./codec.ts";
import { EventTooLargeError, InvalidEventError } from "./errors.ts";
import type { Event, EventMetadata } from "./event.ts";
import { HEADER_ROOM } from "./layout.ts";
import type { CheckedEvent, Encoding, PreparedEvent } from "./prepare.ts";
import { describe } from "./token.ts";
import { utf8 } from "./utf8.ts";

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
    return fitting(utf8(JSON.stringify(event)), event, maxBytes);
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
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new InvalidEventError(`the codec failed: ${reason}`, { cause });
}

function fitting(
  body: Uint8Array,
  { actorId, version }: EventRecord,
  maxBytes: number,
): Uint8Array {
  if (!(body instanceof Uint8Array)) {
    throw new InvalidEventError(`the codec gave ${describe(body)}, not a Uint8Array`);
  }
  const limit = maxBytes - HEADER_ROOM;
  if (body.length > limit) throw new EventTooLargeError(actorId, version, body.length, limit);
  return body;
}
