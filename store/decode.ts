import type { Event } from "./event.ts";
import { CorruptEventError } from "./errors.ts";
import { describe } from "./token.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * The event in the stored `body`, checked to be one of `actorId`.
 *
 * @param sequence Where it stands, for the error.
 * @throws {CorruptEventError} `body` is not an event, or another actor's.
 */
export function decodeEvent(body: Uint8Array, sequence: number, actorId: string): Event {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(body));
  } catch (cause) {
    throw new CorruptEventError(sequence, "its body is not JSON in UTF-8", { cause });
  }
  if (typeof value !== "object" || value === null) {
    throw new CorruptEventError(sequence, `its body is ${describe(value)}, not an event`);
  }
  const event = value as Record<string, unknown>;
  const timestamp = new Date(event.timestamp as string);
  const wrong = typeof event.id !== "string"
    ? "id"
    : typeof event.eventType !== "string"
    ? "eventType"
    : event.actorId !== actorId
    ? "actorId"
    : !Number.isSafeInteger(event.version) || (event.version as number) < 1
    ? "version"
    : event.data === undefined
    ? "data"
    : Number.isNaN(timestamp.getTime())
    ? "timestamp"
    : event.metadata !== undefined && (typeof event.metadata !== "object" || !event.metadata)
    ? "metadata"
    : undefined;
  if (wrong !== undefined) {
    throw new CorruptEventError(
      sequence,
      `it is not an event of ${describe(actorId)}: its ${wrong} is wrong`,
    );
  }
  event.timestamp = timestamp;
  return value as Event;
}
