import { DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { Connection } from "../connection.ts";
import { CorruptEventError } from "../errors.ts";
import { COMMAND, VERSION } from "../format/headers.ts";
import { asStreamSequence, positionOf } from "../format/position.ts";
import { ApiError, type StreamApi } from "../nats/stream_api.ts";
import type { Head } from "./heads.ts";
import { NO_HEAD } from "./message_facts.ts";

/**
 * The head of `subject` through a consumer with deliver policy *last*: about four requests and a
 * consumer made and dropped, where the last message itself takes one request. It does not say how
 * far the replica that it reads from has come: only what is known of the subject tells whether it
 * is behind.
 */
export async function lastByConsumer(
  connection: Connection,
  { layout: { stream }, prefix }: StreamApi,
  subject: string,
): Promise<Head> {
  const manager = await jetstreamManager(connection, { checkAPI: false, apiPrefix: prefix });
  const consumer = await jetstream(connection, { manager, apiPrefix: prefix } as never).consumers
    .get(stream, {
      filter_subjects: [subject],
      deliver_policy: DeliverPolicy.Last,
    });
  try {
    const { num_pending } = await consumer.info(true);
    if (num_pending === 0) return NO_HEAD;
    const message = await consumer.next({ expires: 1000 });
    // Lost on its way, or with the consumer: that says nothing of the stream.
    if (message === null) throw new ApiError({ code: 503, description: "no message came in time" });
    const version = Number(message.headers?.get(VERSION) || NaN);
    const sequence = asStreamSequence(message.seq);
    const least = version === 0 && message.headers?.has(COMMAND) ? 0 : 1;
    if (!Number.isSafeInteger(version) || version < least) {
      throw new CorruptEventError(positionOf(sequence), `it has no ${VERSION} header`);
    }
    return { version, sequence };
  } finally {
    await consumer.delete().catch(() => {}); // It ends by itself when idle.
  }
}
