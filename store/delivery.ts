import type { Msg } from "@nats-io/nats-core";
import { headerIn, headerText, type StoredMessage } from "./stored_message.ts";

/** What the reply subject of a message says that a consumer delivers. */
export interface Delivery {
  /** Who delivers it. */
  readonly consumer: string;
  /** The message's position in the stream. */
  readonly sequence: number;
  /** How many messages the consumer has delivered, with this one. */
  readonly count: number;
  /** When the server stored it, in ns since 1970. */
  readonly time: string;
}

/** How `message` was delivered; `undefined` where no consumer did. */
export function deliveryOf({ reply = "" }: Msg): Delivery | undefined {
  if (!reply.startsWith("$JS.ACK.")) return undefined;
  const tokens = reply.split(".");
  // Servers may name the domain and the account before the stream.
  const at = tokens.length === 9 ? 2 : 4;
  const [, consumer = "", , sequence, count, time = ""] = tokens.slice(at);
  return { consumer, sequence: Number(sequence), count: Number(count), time };
}

/** A message as a consumer delivers it. */
export class DeliveredMessage implements StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly #headers: string;
  readonly #time: string;

  /** Takes the message, and what its reply subject says. */
  constructor(message: Msg, { sequence, time }: Delivery) {
    this.sequence = sequence;
    this.subject = message.subject;
    this.data = message.data;
    this.#headers = headerText(message);
    this.#time = time;
  }

  get time(): string {
    return new Date(Number(this.#time.slice(0, -6))).toISOString();
  }

  header(name: string): string {
    return headerIn(this.#headers, name);
  }
}
