/**
 * Streams put back as they were at one time, as an operator does it with a backup.
 *
 * @module
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { api } from "./jetstream_api.ts";

/** A stream as it was at one time, as a backup has it. */
export interface Backup {
  readonly config: unknown;
  readonly genesis: { readonly subject: string; readonly data: string };
}

/** The part of a stream's backup before its first event. */
export async function backup(connection: NatsConnection, stream: string): Promise<Backup> {
  const { config } = await api<{ config: unknown }>(connection, `STREAM.INFO.${stream}`);
  const { message } = await api<{ message: Backup["genesis"] }>(
    connection,
    `STREAM.MSG.GET.${stream}`,
    { seq: 1 },
  );
  return { config, genesis: message };
}

/** Replaces the present stream by one with the same genesis, without events. */
export async function restore(
  connection: NatsConnection,
  stream: string,
  { config, genesis }: Backup,
): Promise<void> {
  await api(connection, `STREAM.DELETE.${stream}`);
  await api(connection, `STREAM.CREATE.${stream}`, config);
  await connection.request(genesis.subject, atob(genesis.data), { timeout: 5_000 });
}
