/** A real nats-server, a connection and a store for benches; the server ends with the process. */
import { jetstream, type JetStreamClient } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createEvent, type Event, JetStreamEventStore } from "../mod.ts";
import { NatsServer } from "../tools/nats_server.ts";

/** What benches work with. */
export interface Scene {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly store: JetStreamEventStore;
}

const SHARDS = 256;

/** Starts a server, and opens a store of a fresh namespace on it. */
export async function openScene(): Promise<Scene> {
  const server = await NatsServer.start();
  const connection = await connect({ servers: server.url });
  const store = await JetStreamEventStore.open(connection, { namespace: "bench", shards: SHARDS });
  return { connection, js: jetstream(connection), store };
}

/** An event of the size that business events have: about 250 bytes. */
export function eventOf(actorId: string, version: number): Event {
  return createEvent({
    eventType: "OrderPlaced",
    actorId,
    version,
    data: { total: 99.99, items: 3, customer: "customer-4711", address: "1 Main Street" },
  });
}

/** Gives the actor `count` events, in batches. */
export async function fill(
  store: JetStreamEventStore,
  actorId: string,
  count: number,
): Promise<void> {
  for (let version = 1; version <= count; version += 1000) {
    const size = Math.min(1000, count - version + 1);
    const batch = Array.from({ length: size }, (_, at) => eventOf(actorId, version + at));
    await store.saveEvents(batch);
  }
}

/** The headers that a save sends, for raw publishes beside it. */
export function saveHeaders(event: Event, sequence: number): MsgHdrs {
  const fields = headers();
  fields.set("Aether-Op", `${crypto.randomUUID()}-1`);
  fields.set("Aether-Id", event.id);
  fields.set("Aether-Type", event.eventType);
  fields.set("Aether-Version", String(event.version));
  fields.set("Aether-Previous", String(event.version - 1));
  fields.set("Aether-Count", "1");
  fields.set("Nats-Expected-Last-Subject-Sequence", String(sequence));
  return fields;
}
