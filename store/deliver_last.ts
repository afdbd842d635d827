import { DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { Connection } from "./connection.ts";
import type { Head } from "./heads.ts";
import { CorruptEventError } from "./errors.ts";
import { VERSION } from "./stored_message.ts";

/**
 * The head of `subject` through a consumer with deliver policy *last*: about four requests and a
 * consumer made and dropped, where the last message itself takes one request.
 */
export async function lastByConsumer(
  connection: Connection,
  stream: string,
  subject: string,
): Promise<Head> {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const consumer = await jetstream(connection, { manager } as never).consumers.get(stream, {
    filter_subjects: [subject],
    deliver_policy: DeliverPolicy.Last,
  });
  try {
    const { num_pending } = await consumer.info(true);
    if (num_pending === 0) return { version: 0, sequence: 0 };
    const message = await consumer.next({ expires: 1000 });
    const version = Number(message?.headers?.get(VERSION));
    if (message === null || !Number.isSafeInteger(version) || version < 1) {
      throw new CorruptEventError(message?.seq ?? 0, `it has no ${VERSION} header`);
    }
    return { version, sequence: message.seq };
  } finally {
    await consumer.delete();
  }
}
