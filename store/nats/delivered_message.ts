import type { Msg } from "@nats-io/nats-core";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";
import { MessageText, ReceivedMessage } from "./stored_message.ts";

/** How the reply subjects begin of what consumers deliver. */
const START = "$JS.ACK.";
/** The character code of 0. */
const ZERO = 48;

/** What the reply subject of a message says that a consumer delivers. */
export interface ConsumerDelivery {
  /** Who delivers it. */
  readonly consumer: string;
  /** The message's position in the stream. */
  readonly sequence: StreamSequence;
  /** How many messages the consumer has delivered, with this one. */
  readonly count: number;
  /** When the server stored it, in ns since 1970. */
  readonly time: string;
}

/** How `message` was delivered; `undefined` where no consumer did. */
export function deliveryOf({ reply = "" }: Msg): ConsumerDelivery | undefined {
  if (!reply.startsWith(START)) return undefined;
  /** Where tokens end, behind the first two. */
  const ends: number[] = [START.length - 1];
  for (let at = START.length; at > 0; at = ends.at(-1)! + 1) ends.push(reply.indexOf(".", at));
  ends[ends.length - 1] = reply.length;
  // Servers may name the domain and the account before the stream.
  const at = ends.length === 8 ? 1 : 3;
  const token = (skip: number) => reply.slice(ends[at + skip - 1]! + 1, ends[at + skip]);
  return {
    consumer: token(1),
    sequence: asStreamSequence(integer(token(3))),
    count: integer(token(4)),
    time: token(5),
  };
}

/** Quicker than `Number()`, which keeps what it was given. */
function integer(digits: string): number {
  let value = 0;
  for (let at = 0; at < digits.length; at++) value = 10 * value + digits.charCodeAt(at) - ZERO;
  return value;
}

/** A message as a consumer delivers it. */
export class DeliveredMessage extends ReceivedMessage {
  readonly #message: Msg;
  #delivery: ConsumerDelivery | undefined;

  /** Takes the message, and what its reply subject says where that is known. */
  constructor(message: Msg, delivery?: ConsumerDelivery) {
    super(new MessageText(message));
    this.#message = message;
    this.#delivery = delivery;
  }

  /** What its reply subject says. */
  get delivery(): ConsumerDelivery {
    return this.#delivery ??= deliveryOf(this.#message)!;
  }

  get sequence(): StreamSequence {
    return this.delivery.sequence;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get time(): string {
    return new Date(Number(this.delivery.time.slice(0, -6))).toISOString();
  }
}
