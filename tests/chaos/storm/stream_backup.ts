/**
 * Backups of streams by the server's own means, as `nats stream backup` and `restore` make them.
 *
 * @module
 */

import { createInbox, type NatsConnection } from "@nats-io/transport-node";
import { api } from "../../support/jetstream_api.ts";

/** A stream as it was at one time. */
export interface StreamBackup {
  readonly config: unknown;
  readonly state: unknown;
  readonly chunks: readonly Uint8Array[];
}

/** Has the server give all of a stream. */
export async function backUp(connection: NatsConnection, stream: string): Promise<StreamBackup> {
  const inbox = createInbox();
  const arriving = connection.subscribe(inbox);
  const chunks: Uint8Array[] = [];
  const { config, state } = await api<Pick<StreamBackup, "config" | "state">>(
    ...[connection, `STREAM.SNAPSHOT.${stream}`],
    { deliver_subject: inbox, no_consumers: true },
  );
  for await (const { data, reply } of arriving) {
    if (reply) connection.publish(reply);
    if (data.length === 0) break;
    chunks.push(data.slice());
  }
  return { config, state, chunks };
}

/** Puts a backup in the place of the present stream. */
export async function putBack(
  connection: NatsConnection,
  stream: string,
  { config, state, chunks }: StreamBackup,
): Promise<void> {
  await api(connection, `STREAM.DELETE.${stream}`);
  const { deliver_subject } = await api<{ deliver_subject: string }>(
    ...[connection, `STREAM.RESTORE.${stream}`],
    { config, state },
  );
  for (const chunk of [...chunks, new Uint8Array()]) {
    const answer = await connection.request(deliver_subject, chunk, { timeout: 10_000 });
    const { error } = answer.data.length > 0 ? answer.json<{ error?: unknown }>() : {};
    if (error !== undefined) throw new Error(`Cannot restore: ${JSON.stringify(error)}`);
  }
}
