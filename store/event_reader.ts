import type { EventDecoder, StoredFacts } from "./decode.ts";
import { CorruptEventError } from "./errors.ts";
import type { Event } from "./event.ts";
import { versionIn } from "./head_reader.ts";
import { ID, numberIn, PREVIOUS, SCHEMA, type StoredMessage, TYPE } from "./stored_message.ts";
import { decodeToken } from "./token.ts";

/** Makes events of messages. */
export class EventReader {
  readonly #decoder: EventDecoder;

  /** Decodes bodies with `decoder`. */
  constructor(decoder: EventDecoder) {
    this.#decoder = decoder;
  }

  /**
   * The event of `actorId` in `message`; a promise only where the codec takes its time.
   *
   * @throws {CorruptEventError} It is no event, or another actor's.
   */
  eventIn(message: StoredMessage, actorId: string): Event | Promise<Event> {
    return this.#decoder.decode(message, new MessageFacts(message, actorId));
  }
}

/** What a message says of the event in it, beside its content. */
class MessageFacts implements StoredFacts {
  readonly actorId: string;
  readonly version: number;
  readonly schema: number;
  readonly #message: StoredMessage;

  constructor(message: StoredMessage, actorId: string) {
    this.#message = message;
    this.actorId = actorId;
    this.version = versionIn(message);
    this.schema = schemaIn(message);
  }

  get sequence(): number {
    return this.#message.sequence;
  }

  rest(): Pick<Event, "id" | "eventType" | "timestamp"> {
    const id = textIn(this.#message, ID);
    const eventType = textIn(this.#message, TYPE);
    return { id, eventType, timestamp: new Date(this.#message.time) };
  }
}

/** The schema that the event in `message` was saved with. */
function schemaIn(message: StoredMessage): number {
  const schema = message.header(SCHEMA) === "" ? 1 : numberIn(message, SCHEMA);
  if (schema === undefined || schema < 1) {
    throw new CorruptEventError(message.sequence, `its ${SCHEMA} header is no schema`);
  }
  return schema;
}

/** The version of the actor's event before the one in `message`. */
export function previousOf(message: StoredMessage): number {
  const previous = numberIn(message, PREVIOUS);
  if (previous === undefined) {
    throw new CorruptEventError(message.sequence, `it has no ${PREVIOUS} header`);
  }
  return previous;
}

function textIn(message: StoredMessage, name: string): string {
  try {
    return decodeToken(message.header(name));
  } catch (cause) {
    throw new CorruptEventError(message.sequence, `its ${name} header is no text`, { cause });
  }
}

/** What stands before `message` is version `previous`, and that is not what it follows on. */
export function missingBefore(
  message: StoredMessage,
  actorId: string,
  previous: number,
): CorruptEventError {
  return new CorruptEventError(
    message.sequence,
    `version ${versionIn(message)} of "${actorId}" follows on version ${previousOf(message)}, ` +
      `but version ${previous} is what stands before it: events between them are lost`,
  );
}
