import { unlessAborted } from "../base/abort.ts";
import { copyBytes } from "../base/bytes.ts";
import { freshCopy } from "../base/fresh.ts";
import { reasonOf } from "../base/reason.ts";
import { describe } from "../base/token.ts";
import { utf8 } from "../base/utf8.ts";
import type { Codec } from "../codec.ts";
import {
  EventTooLargeError,
  InvalidEventError,
  isAetherError,
  StoreUnavailableError,
} from "../errors.ts";
import type { Event, EventMetadata } from "../event.ts";
import type { EventRules } from "../event_rules.ts";
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
 * @throws {StoreUnavailableError} The codec needs something that is out of reach.
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
  if (isBytes(encoded)) return fitting(copyBytes(encoded), event, maxBytes);
  const body = Promise.resolve(encoded).then(
    // A copy, as the codec may use its bytes again.
    (bytes) => fitting(isBytes(bytes) ? copyBytes(bytes) : bytes, event, maxBytes),
    (cause) => Promise.reject(codecFailed(event, cause)),
  );
  body.catch(() => {}); // Told when the save's turn comes.
  return body;
}

/**
 * The events with their bodies at hand.
 *
 * @param deadline When to give up, by the monotonic clock, in ms.
 * @throws {StoreUnavailableError} The codec has not given a body by then.
 */
export async function withBodies(
  events: readonly CheckedEvent[],
  deadline: number,
): Promise<PreparedEvent[]> {
  const { actorId, version } = events[0]!;
  const late = new AbortController();
  const timer = setTimeout(() => {
    const what = `Cannot save event at version ${version} of "${actorId}"`;
    const reason = "the codec did not give its bytes in time; nothing was saved";
    late.abort(new StoreUnavailableError(`${what}: ${reason}`));
  }, deadline - performance.now());
  try {
    const bodies = events.map(async (event) => ({ ...event, body: await event.body }));
    return await unlessAborted(late.signal, Promise.all(bodies));
  } finally {
    clearTimeout(timer);
  }
}

/** Whether all bodies are at hand already. */
export function haveBodies(events: readonly CheckedEvent[]): events is readonly PreparedEvent[] {
  return events.every(({ body }) => body instanceof Uint8Array);
}

function encodeWith(
  codec: Codec<Event>,
  { timestamp, metadata, data, ...facts }: EventRecord,
): Uint8Array | Promise<Uint8Array> {
  try {
    return codec.encode({
      ...facts,
      data: freshCopy(data),
      timestamp: new Date(timestamp),
      ...(metadata && { metadata }),
    });
  } catch (cause) {
    throw codecFailed(facts, cause);
  }
}

/** For a value that anything may be: a proxy may throw. */
function isBytes(value: unknown): value is Uint8Array {
  try {
    return value instanceof Uint8Array;
  } catch {
    return false;
  }
}

function codecFailed(
  { actorId, version }: Pick<EventRecord, "actorId" | "version">,
  cause: unknown,
): InvalidEventError | StoreUnavailableError {
  const reason = reasonOf(cause);
  if (isAetherError(cause, "StoreUnavailableError")) {
    return new StoreUnavailableError(
      `Cannot save event at version ${version} of "${actorId}": the codec has to wait: ${reason}; ` +
        "nothing was saved",
      { cause },
    );
  }
  return new InvalidEventError(`the codec failed: ${reason}`, { cause });
}

function fitting(
  body: Uint8Array,
  { actorId, version }: EventRecord,
  maxBytes: number,
  end = 0,
): Uint8Array {
  if (!isBytes(body)) {
    throw new InvalidEventError(`the codec gave ${describe(body)}, not a Uint8Array`);
  }
  const limit = maxBytes - HEADER_ROOM;
  const size = body.length - end;
  if (size > limit) throw new EventTooLargeError(actorId, version, size, limit);
  return body;
}

/** An event that is checked and copied: a caller that changes the original does not change it. */
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
  /** The rules of the store's events. */
  readonly rules?: EventRules | undefined;
}
