import type { Msg } from "@nats-io/nats-core";
import { MessageText, ReceivedMessage } from "./stored_message.ts";

/** The beginning of the reply subject of each message that a consumer delivers. */
const START = "$JS.ACK.";
/** The character code of 0. */
const ZERO = 48;

/** The facts in the reply subject of a message that a consumer delivers. */
export interface ConsumerDelivery {
  /** The consumer's name. */
  readonly consumer: string;
  /** The message's position in the stream. */
  readonly sequence: number;
  /** How many messages the consumer has delivered, with this one. */
  readonly count: number;
  /** When the server stored it, in ns since 1970. */
  readonly time: string;
}

/** How a consumer delivered `message`; `undefined` if none did. */
export function deliveryOf({ reply = "" }: Msg): ConsumerDelivery | undefined {
  if (!reply.startsWith(START)) return undefined;
  /** The ends of the tokens, from the second on. */
  const ends: number[] = [START.length - 1];
  for (let at = START.length; at > 0; at = ends.at(-1)! + 1) ends.push(reply.indexOf(".", at));
  ends[ends.length - 1] = reply.length;
  // Servers may name the domain and the account before the stream.
  const at = ends.length === 8 ? 1 : 3;
  const token = (skip: number) => reply.slice(ends[at + skip - 1]! + 1, ends[at + skip]);
  return {
    consumer: token(1),
    sequence: integer(token(3)),
    count: integer(token(4)),
    time: token(5),
  };
}

/** Quicker than `Number()`, which keeps the text that it was given. */
function integer(digits: string): number {
  let value = 0;
  for (let at = 0; at < digits.length; at++) value = 10 * value + digits.charCodeAt(at) - ZERO;
  return value;
}

/** A message as a consumer delivers it. */
export class DeliveredMessage extends ReceivedMessage {
  readonly #message: Msg;
  #delivery: ConsumerDelivery | undefined;

  /** Takes the message, and the facts in its reply subject if they are parsed already. */
  constructor(message: Msg, delivery?: ConsumerDelivery) {
    super(new MessageText(message));
    this.#message = message;
    this.#delivery = delivery;
  }

  /** The facts in its reply subject. */
  get delivery(): ConsumerDelivery {
    return this.#delivery ??= deliveryOf(this.#message)!;
  }

  get sequence(): number {
    return this.delivery.sequence;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get time(): string {
    return new Date(Number(this.delivery.time.slice(0, -6))).toISOString();
  }
}
