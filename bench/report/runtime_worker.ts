/**
 * The same work on any runtime: reads the name of a work on each line of its input, does it, and
 * prints how long that took, in ms. `NATS_URL` names the server.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import {
  createEvent,
  type Decider,
  type Event,
  execute,
  InMemoryEventStore,
  JetStreamEventStore,
} from "@flowmade-one/aether";
import { connect } from "@nats-io/transport-node";

type Counted = Event<"Counted", { by: number }>;

const counter: Decider<number, number, Counted> = {
  initialState: () => 0,
  evolve: (total, { data }) => total + data.by,
  decide: (by) => ({ eventType: "Counted", data: { by } }),
};

const MANY = 1_000;
const runtime = "Deno" in globalThis ? "deno" : "node";
const connection = await connect({ servers: process.env.NATS_URL! });
const store = await JetStreamEventStore.open(connection, { namespace: `bench-${runtime}` });
const memory = new InMemoryEventStore();
let saves = 0;

function eventOf(actorId: string, version: number): Event {
  const data = { total: 99.99, items: 3, customer: "customer-4711", address: "1 Main Street" };
  return createEvent({ eventType: "OrderPlaced", actorId, version, data });
}

/** Saves an event of a new actor each, `most` of them at once. */
async function saveEach(count: number, most: number): Promise<void> {
  const base = saves;
  saves += count;
  let at = 0;
  await Promise.all(Array.from({ length: most }, async () => {
    while (at < count) await store.saveEvent(eventOf(`order-${base + at++}`, 1));
  }));
}

for (const [actorId, count] of [["long", 10_000], ["short", 10]] as const) {
  for (let version = 1; version <= count; version += 250) {
    const size = Math.min(250, count - version + 1);
    const events = Array.from({ length: size }, (_, at) => eventOf(actorId, version + at));
    await store.saveEvents(events);
    await memory.saveEvents(events);
  }
}

/** The work by name; each gives how many operations it is. */
const WORK: Readonly<Record<string, () => Promise<number>>> = {
  "saves, one at a time": async () => {
    await saveEach(50, 1);
    return 50;
  },
  "saves, 64 in flight": async () => {
    await saveEach(MANY, 64);
    return MANY;
  },
  "lookups, uncached, one at a time": async () => {
    for (let at = 0; at < 50; at++) await store.getLatestVersion("long", { fresh: true });
    return 50;
  },
  "lookups, cached": async () => {
    for (let at = 0; at < 10_000; at++) await store.getLatestVersion("long");
    return 10_000;
  },
  "a history of 10 events": async () => {
    for (let at = 0; at < 20; at++) await store.getEvents("short");
    return 20;
  },
  "a history of 10,000 events": async () => {
    await store.getEvents("long");
    return 1;
  },
  "a history of 10,000 events in memory": async () => {
    await memory.getEvents("long");
    return 1;
  },
  "commands on 100 actors, 100 in flight": async () => {
    const all = Array.from(
      { length: MANY },
      (_, at) => execute(store, `counter-${at % 100}`, counter, 1),
    );
    await Promise.all(all);
    return MANY;
  },
};

console.log(JSON.stringify({
  runtime: runtime === "node" ? `Node ${process.versions.node}` : `Deno ${process.versions.deno}`,
  work: Object.keys(WORK),
}));
for await (const name of createInterface({ input: process.stdin })) {
  const begun = performance.now();
  const ops = await WORK[name]!();
  console.log(JSON.stringify({ ms: performance.now() - begun, ops }));
}
await store[Symbol.asyncDispose]();
await memory[Symbol.asyncDispose]();
await connection.close();
process.exit(0);
