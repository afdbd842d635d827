import type { NatsConnection } from "@nats-io/nats-core";

/** The caller's connection to NATS: the library never dials; the caller opens and closes it. */
export type Connection = NatsConnection;
