import type { NatsConnection } from "@nats-io/nats-core";

/** The user's connection to NATS: the library takes it and never dials; who opens it closes it. */
export type Connection = NatsConnection;
