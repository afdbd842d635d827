/**
 * Streams that a test makes itself, for stores to open or to refuse.
 *
 * @module
 */

import { assert, assertRejects } from "@std/assert";
import type { StreamInfo } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  isAetherError,
  JetStreamEventStore,
  type JetStreamEventStoreOptions,
  type StreamConfigError,
} from "../../../store/mod.ts";
import { api } from "../../support/jetstream_api.ts";

/** A stream's configuration as the server has it. */
export type Config = Record<string, unknown>;

/** The configuration that a store gives its stream. */
export function configFor(namespace: string): Config {
  return {
    name: `AETHER_${namespace}`,
    subjects: ["event.*.*.*", "unborn.*.*.*", "fence.*", "commit.*", "genesis", "epoch"].map((
      rest,
    ) => `aether.${namespace}.${rest}`),
    retention: "limits",
    storage: "file",
    discard: "new",
    num_replicas: 1,
    deny_delete: true,
    deny_purge: true,
    allow_direct: true,
    allow_atomic: true,
  };
}

/** Makes a stream. */
export async function create(connection: NatsConnection, config: Config): Promise<void> {
  await api(connection, `STREAM.CREATE.${config.name}`, config);
}

/** All of a stream that opening it must not change. */
export async function snapshot(connection: NatsConnection, stream: string): Promise<unknown> {
  const { config, state, created } = await api<StreamInfo>(
    connection,
    `STREAM.INFO.${stream}`,
    {},
  );
  return JSON.parse(JSON.stringify({ config, created, messages: state.messages }));
}

/** The error of a store that does not open its stream. */
export async function refusal(
  connection: NatsConnection,
  options: JetStreamEventStoreOptions,
): Promise<StreamConfigError> {
  const error = await assertRejects(() => JetStreamEventStore.open(connection, options));
  assert(isAetherError(error, "StreamConfigError"), String(error));
  return error;
}
