/** Real nats-servers, a connection and a store for benches. */
import { jetstream, type JetStreamClient } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import {
  createEvent,
  type Event,
  JetStreamEventStore,
  type JetStreamEventStoreOptions,
} from "../mod.ts";
import { Layout } from "../store/format/layout.ts";
import { NatsCluster } from "../tools/nats_cluster.ts";
import { NatsServer } from "../tools/nats_server.ts";

const NAMESPACE = "bench";
const SHARDS = 256;

/** The tools of a bench. The servers end on disposal, or else with the process. */
export class Scene implements AsyncDisposable {
  /** Raw NATS, to compare stores with. */
  readonly connection: NatsConnection;
  /** JetStream as nats.js offers it. */
  readonly js: JetStreamClient;
  /** A store with default options. */
  readonly store: JetStreamEventStore;
  readonly #running: NatsServer | NatsCluster;

  private constructor(
    running: NatsServer | NatsCluster,
    connection: NatsConnection,
    store: JetStreamEventStore,
  ) {
    this.connection = connection;
    this.js = jetstream(connection);
    this.store = store;
    this.#running = running;
    globalThis.addEventListener("unload", () => {
      for (const { pid } of serversOf(running)) if (pid !== undefined) Deno.kill(pid, "SIGKILL");
    });
  }

  /** Starts a server, or three if `replicas` are wanted, and opens a store there. */
  static async open({ replicas = 1 }: { replicas?: 1 | 3 } = {}): Promise<Scene> {
    const running = await (replicas === 1 ? NatsServer.start() : NatsCluster.start(replicas));
    const connection = await connect({ servers: serversOf(running).map(({ url }) => url) });
    return new Scene(running, connection, await openStore(connection, { replicas }));
  }

  /** Opens another store on the same stream. */
  openStore(options: JetStreamEventStoreOptions): Promise<JetStreamEventStore> {
    return openStore(this.connection, options);
  }

  /** Asks for the last message of a subject as it comes: the floor of an uncached lookup. */
  async lastMessage(subject: string): Promise<unknown> {
    const api = `$JS.API.STREAM.MSG.GET.${this.store.stream}`;
    const query = JSON.stringify({ last_by_subj: subject });
    return (await this.connection.request(api, query, { timeout: 5000 })).json();
  }

  /** Closes the connection and ends the servers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.connection.close();
    await this.#running[Symbol.asyncDispose]();
  }
}

function serversOf(running: NatsServer | NatsCluster): readonly NatsServer[] {
  return running instanceof NatsServer ? [running] : running.servers;
}

function openStore(
  connection: NatsConnection,
  options: JetStreamEventStoreOptions = {},
): Promise<JetStreamEventStore> {
  return JetStreamEventStore.open(connection, { ...options, namespace: NAMESPACE, shards: SHARDS });
}

/** The exact subject of an actor. */
export function subjectOf(actorId: string): string {
  return new Layout(NAMESPACE).event(actorId, SHARDS);
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

/** Gives the actor `count` events, each in a message of its own as single saves would. */
export async function fill(
  connection: NatsConnection,
  actorId: string,
  count: number,
): Promise<void> {
  const subject = subjectOf(actorId);
  for (let first = 1; first <= count; first += 1000) {
    const size = Math.min(1000, count - first + 1);
    await Promise.all(Array.from({ length: size }, async (_, at) => {
      const event = eventOf(actorId, first + at);
      const headers = factsOf(event);
      await connection.request(subject, bodyOf(event), { headers, timeout: 10_000 });
    }));
  }
}

/** Gives the actor `count` events by saves of 1,000, which take as few messages as there can be. */
export async function fillTogether(
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

/** The body of a message of one event. */
export function bodyOf(event: Event): string {
  return `${JSON.stringify(event)}\n`;
}

/** The headers that a save sends, for raw publishes beside it. */
export function saveHeaders(event: Event, sequence: number): MsgHdrs {
  const fields = factsOf(event);
  fields.set("Nats-Expected-Last-Subject-Sequence", String(sequence));
  return fields;
}

function factsOf(event: Event): MsgHdrs {
  const fields = headers();
  fields.set("Aether-Op", `${event.id}-1`);
  fields.set("Aether-Id", event.id);
  fields.set("Aether-Type", event.eventType);
  fields.set("Aether-Version", String(event.version));
  fields.set("Aether-Previous", String(event.version - 1));
  fields.set("Aether-Count", "1");
  return fields;
}
