/**
 * The JetStream API, past the store and its code.
 *
 * @module
 */

import type { NatsConnection } from "@nats-io/transport-node";

/** Asks the JetStream API. */
export async function api<T>(
  connection: NatsConnection,
  operation: string,
  query: unknown = {},
): Promise<T> {
  const result = await ask<T & { error?: { description: string } }>(connection, operation, query);
  if (result.error !== undefined) throw new Error(`${operation}: ${result.error.description}`);
  return result;
}

/** A message of a stream. */
export interface LoggedMessage {
  readonly sequence: number;
  readonly subject: string;
  /** The value of a header; `""` if there is none. */
  readonly header: (name: string) => string;
}

/** All messages of `stream` in its order, as the leader reports them, asked for one by one. */
export async function messagesOf(
  connection: NatsConnection,
  stream: string,
): Promise<LoggedMessage[]> {
  const { state } = await api<{ state: { last_seq: number } }>(connection, `STREAM.INFO.${stream}`);
  const messages: LoggedMessage[] = [];
  for (let from = 1; from <= state.last_seq; from += 100) {
    const length = Math.min(100, state.last_seq - from + 1);
    const page = Array.from(
      { length },
      (_, at) =>
        ask<{ message?: { seq: number; subject: string; hdrs?: string } }>(
          connection,
          `STREAM.MSG.GET.${stream}`,
          { seq: from + at },
        ),
    );
    for (const { message } of await Promise.all(page)) {
      if (message === undefined) continue;
      const fields = atob(message.hdrs ?? "");
      messages.push({
        sequence: message.seq,
        subject: message.subject,
        header: (name) => new RegExp(`\r\n${name}: *([^\r]*)`).exec(fields)?.[1] ?? "",
      });
    }
  }
  return messages;
}

async function ask<T>(connection: NatsConnection, operation: string, query: unknown): Promise<T> {
  const subject = `$JS.API.${operation}`;
  const answer = await connection.request(subject, JSON.stringify(query), { timeout: 10_000 });
  return answer.json<T>();
}
