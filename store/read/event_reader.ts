import type { Event } from "../event.ts";
import type { EventDecoder, StoredFacts } from "../format/decode.ts";
import { ID, TYPE } from "../format/headers.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { schemaIn, textIn, versionIn } from "./message_facts.ts";

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
