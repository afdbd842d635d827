/** Ours, and those of others, behind one face. */
import { join } from "node:path";
import { createEvent, type EventStore, InMemoryEventStore } from "../../mod.ts";
import { bodyOf, eventIn, eventOf, saveHeaders, Scene, subjectOf } from "../scene.ts";
import type { Peer, PeerEvent } from "./peer.ts";
import type { Postgres, Scratch } from "./scratch.ts";

function ours(
  name: string,
  durability: string,
  store: EventStore,
  end: AsyncDisposable = store,
): Peer {
  return {
    name,
    durability,
    append: (actorId, version, events) =>
      store.saveEvents(
        events.map(({ type, data }, at) =>
          createEvent({ eventType: type, actorId, version: version + 1 + at, data })
        ),
      ),
    read: (actorId) => store.getEvents(actorId),
    [Symbol.asyncDispose]: () => end[Symbol.asyncDispose](),
  };
}

/** Aether in memory. */
export function memory(): Promise<Peer> {
  return Promise.resolve(ours("Aether, memory", "none", new InMemoryEventStore()));
}

/** Aether on one server. */
export async function jetStream(): Promise<Peer> {
  const scene = await Scene.open();
  const durability = "in the system's cache, on disk within 2 min";
  return ours("Aether, JetStream", durability, scene.store, scene);
}

/** Aether on one server that waits for its disk, with the option for it. */
export async function jetStreamSynced(): Promise<Peer> {
  const scene = await Scene.open({ sync: "always" });
  const store = await scene.openStore({ groupCommit: true });
  const stack = new AsyncDisposableStack();
  stack.use(scene);
  stack.use(store);
  return ours("Aether, JetStream, sync always", "on disk", store, stack);
}

/** nats.js alone: compare-and-set publishes, and an ordered consumer. */
export async function raw(): Promise<Peer> {
  const scene = await Scene.open();
  const sequences = new Map<string, number>();
  const counts = new Map<string, number>();
  return {
    name: "raw nats.js",
    durability: "in the system's cache, on disk within 2 min",
    async append(stream, version, events) {
      for (const [at] of events.entries()) {
        const event = eventOf(stream, version + 1 + at);
        const headers = saveHeaders(event, sequences.get(stream) ?? 0);
        const ack = await scene.js.publish(subjectOf(stream), bodyOf(event), { headers });
        sequences.set(stream, ack.seq);
      }
      counts.set(stream, version + events.length);
    },
    async read(stream) {
      const events: unknown[] = [];
      await scene.consume(subjectOf(stream), counts.get(stream) ?? 0, 10_000, (text) => {
        events.push(eventIn(text));
      });
      return events;
    },
    [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose](),
  };
}

// deno-lint-ignore no-explicit-any -- an untyped store
function emmett(name: string, durability: string, store: any): Peer {
  return {
    name,
    durability,
    append: (stream, version, events) =>
      store.appendToStream(stream, events, {
        expectedStreamVersion: version === 0 ? "STREAM_DOES_NOT_EXIST" : BigInt(version),
      }),
    read: async (stream) => (await store.readStream(stream)).events,
    [Symbol.asyncDispose]: async () => void await store.close?.(),
  };
}

/** Emmett in memory. */
export async function emmettMemory(scratch: Scratch): Promise<Peer> {
  const load = await scratch.install("emmett", ["@event-driven-io/emmett"]);
  return emmett("Emmett, memory", "none", load("@event-driven-io/emmett").getInMemoryEventStore());
}

/** Emmett on PostgreSQL. */
export async function emmettPostgres(scratch: Scratch, { port }: Postgres): Promise<Peer> {
  const names = ["@event-driven-io/emmett-postgresql", "@event-driven-io/emmett"];
  const load = await scratch.install("emmett-postgresql", names);
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  return emmett("Emmett, PostgreSQL", "on disk", load(names[0]!).getPostgreSQLEventStore(url));
}

/** Emmett on SQLite. */
export async function emmettSqlite(scratch: Scratch): Promise<Peer> {
  const load = await scratch.install("emmett-sqlite", ["@event-driven-io/emmett-sqlite"]);
  const fileName = join(scratch.folder, "emmett-sqlite.db");
  const { getSQLiteEventStore } = load("@event-driven-io/emmett-sqlite");
  return emmett("Emmett, SQLite", "on disk", getSQLiteEventStore({ fileName }));
}

/** Castore in memory. */
export async function castore(scratch: Scratch): Promise<Peer> {
  const names = ["@castore/event-storage-adapter-in-memory", "@castore/core"];
  const load = await scratch.install("castore", names);
  const adapter = new (load(names[0]!).InMemoryEventStorageAdapter)({ initialEvents: [] });
  const context = { eventStoreId: "bench" };
  return {
    name: "Castore, memory",
    durability: "none",
    async append(aggregateId, version, events) {
      for (const [at, { type, data: payload }] of events.entries()) {
        await adapter.pushEvent({ aggregateId, version: version + 1 + at, type, payload }, context);
      }
    },
    read: async (stream) => (await adapter.getEvents(stream, context)).events,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

// deno-lint-ignore no-explicit-any -- an untyped store
async function act(name: string, durability: string, store: any): Promise<Peer> {
  await store.seed();
  const meta = { correlation: "bench", causation: {} };
  return {
    name,
    durability,
    append: (stream, version, events) =>
      store.commit(
        stream,
        events.map(({ type, data }: PeerEvent) => ({ name: type, data })),
        meta,
        version - 1,
      ),
    read: async (stream) => {
      const events: unknown[] = [];
      await store.query((event: unknown) => events.push(event), { stream, stream_exact: true });
      return events;
    },
    [Symbol.asyncDispose]: () => store.dispose(),
  };
}

/** Act in memory. */
export async function actMemory(scratch: Scratch): Promise<Peer> {
  const load = await scratch.install("act", ["@rotorsoft/act@1"]);
  const { InMemoryStore } = load("@rotorsoft/act");
  return await act("Act, memory", "none", new InMemoryStore());
}

/** Act on PostgreSQL. */
export async function actPostgres(scratch: Scratch, { port }: Postgres): Promise<Peer> {
  const load = await scratch.install("act-pg", ["@rotorsoft/act-pg"]);
  const { PostgresStore } = load("@rotorsoft/act-pg");
  const config = {
    host: "127.0.0.1",
    port,
    database: "postgres",
    user: "postgres",
    password: "postgres",
    schema: "act",
    table: "events",
  };
  return await act("Act, PostgreSQL", "on disk", new PostgresStore(config));
}
