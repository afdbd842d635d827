/** Real nats-servers, a connection and a store for benches. */
import { type Consumer, jetstream, type JetStreamClient } from "@nats-io/jetstream";
import { headers, type Msg, type MsgHdrs } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import {
  createEvent,
  type Event,
  JetStreamEventStore,
  type JetStreamEventStoreOptions,
} from "../mod.ts";
import { Layout } from "../store/format/layout.ts";
import { NatsCluster } from "../tools/nats_cluster.ts";
import { NatsServer, type NatsServerOptions } from "../tools/nats_server.ts";

const NAMESPACE = "bench";
const SHARDS = 256;

/** Options for {@linkcode Scene.open}: how its servers run. */
export interface SceneOptions extends Pick<NatsServerOptions, "sync" | "timeout"> {
  /** Servers, and copies of the stream. @default {1} */
  readonly replicas?: 1 | 3;
}

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
  static async open(
    { replicas = 1, ...options }: SceneOptions = {},
  ): Promise<Scene> {
    const running =
      await (replicas === 1 ? NatsServer.start(options) : NatsCluster.start(replicas, options));
    const connection = await connect({
      servers: serversOf(running).map(({ url }) => url),
      maxReconnectAttempts: -1, // a server with millions of subjects takes long to start again
    });
    return new Scene(running, connection, await openStore(connection, { replicas }));
  }

  /** Opens another store on the same stream. */
  openStore(options: JetStreamEventStoreOptions): Promise<JetStreamEventStore> {
    return openStore(this.connection, options);
  }

  /** The servers. */
  get servers(): readonly NatsServer[] {
    return serversOf(this.#running);
  }

  /** Asks the nearest replica for the last message of a subject: the floor of an uncached lookup. */
  lastMessage(subject: string): Promise<Msg> {
    const query = JSON.stringify({ last_by_subj: subject });
    return this.connection.request(this.#direct, query, { timeout: 5000 });
  }

  /** Asks the leader for the last message of a subject: the floor of a lookup on replicas. */
  async leadersLastMessage(subject: string): Promise<unknown> {
    const api = `$JS.API.STREAM.MSG.GET.${this.store.stream}`;
    const query = JSON.stringify({ last_by_subj: subject });
    return (await this.connection.request(api, query, { timeout: 5000 })).json();
  }

  /** The last message of a subject by a consumer with deliver policy *last*, in two requests. */
  async lastByConsumer(subject: string): Promise<Msg> {
    const { stream } = this.store;
    const name = `lean-${crypto.randomUUID()}`;
    const config = {
      name,
      filter_subject: subject,
      deliver_policy: "last",
      ack_policy: "none",
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: 5e9,
    };
    const query = JSON.stringify({ stream_name: stream, action: "create", config });
    const { connection } = this;
    await connection.request(`$JS.API.CONSUMER.CREATE.${stream}.${name}`, query, { timeout: 5000 });
    const next = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`;
    // Not by the inbox that requests share: a delivered message has its own subject.
    const apart = { timeout: 5000, noMux: true };
    const message = await connection.request(next, `{"batch":1,"no_wait":true}`, apart);
    connection.publish(`$JS.API.CONSUMER.DELETE.${stream}.${name}`);
    return message;
  }

  /** All messages of a direct request, as they come. */
  collect(query: unknown, take: (message: Msg) => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const inbox = `_INBOX.bench.${crypto.randomUUID()}`;
    const subscription = this.connection.subscribe(inbox, {
      callback: (_error, message) => {
        // The end has a status and no body.
        if (message.data.length > 0) return take(message);
        subscription.unsubscribe();
        resolve();
      },
    });
    this.connection.publish(this.#direct, JSON.stringify(query), { reply: inbox });
    return promise;
  }

  /**
   * The events of an actor by nats.js's ordered consumer, which asks for `prefetch` messages at once,
   * and how long that took without the consumer's end.
   */
  async consume(
    subjects: string,
    count: number,
    prefetch: number | undefined,
    take: (text: string) => void,
  ): Promise<number> {
    const begun = performance.now();
    const filter = { filter_subjects: [subjects] };
    const consumer: Consumer = await this.js.consumers.get(this.store.stream, filter);
    const options = prefetch === undefined ? {} : { max_messages: prefetch };
    let left = count;
    for await (const message of await consumer.consume(options)) {
      take(message.string());
      if (--left === 0) break;
    }
    const ms = performance.now() - begun;
    await consumer.delete();
    return ms;
  }

  get #direct(): string {
    return `$JS.API.DIRECT.GET.${this.store.stream}`;
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
  await fillWith(connection, count, (at) => ({ subject, event: eventOf(actorId, at + 1) }));
}

/**
 * Stores the event that `make` gives for each number below `count`, each in a message of its own.
 * Only the last one of each thousand is acknowledged, as they are stored in order.
 */
export async function fillWith(
  connection: NatsConnection,
  count: number,
  make: (at: number) => { readonly subject: string; readonly event: Event },
): Promise<void> {
  for (let at = 0; at < count; at++) {
    const { subject, event } = make(at);
    const headers = factsOf(event);
    if (at % 1000 !== 999 && at !== count - 1) {
      connection.publish(subject, bodyOf(event), { headers });
      continue;
    }
    await connection.request(subject, bodyOf(event), { headers, timeout: 30_000 });
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

/** An event of the bytes that a message holds, as the store makes it, without its checks. */
export function eventIn(text: string): Event {
  const event = JSON.parse(text);
  event.timestamp = new Date(event.timestamp);
  return event;
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
