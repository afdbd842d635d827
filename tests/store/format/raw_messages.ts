/**
 * The messages of a stream as they are stored, past the store and its code.
 *
 * @module
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { api } from "../../support/jetstream_api.ts";

/** A stored message, in the form that `docs/design/read_events.py` reads. */
export interface RawMessage {
  readonly seq: number;
  readonly subject: string;
  /** The block of headers in base64; `""` if there is none. */
  readonly headers: string;
  /** The body in base64. */
  readonly data: string;
}

/** All messages of `stream`, in its order. */
export async function rawMessages(
  connection: NatsConnection,
  stream: string,
): Promise<RawMessage[]> {
  const { state } = await api<{ state: { last_seq: number } }>(connection, `STREAM.INFO.${stream}`);
  const messages: RawMessage[] = [];
  for (let seq = 1; seq <= state.last_seq; seq++) {
    const { message: { subject, hdrs = "", data = "" } } = await api<
      { message: { subject: string; hdrs?: string; data?: string } }
    >(connection, `STREAM.MSG.GET.${stream}`, { seq });
    messages.push({ seq, subject, headers: hdrs, data });
  }
  return messages;
}

/** The bytes behind `base64`. */
export function bytesIn(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
