/**
 * Projections beside nats.js's ordered consumer that parses the same JSON: a replay of 20,000
 * events of 100 actors, whose handler does nothing.
 */
import type { JsMsg } from "@nats-io/jetstream";
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore } from "../adapters/sqlite/mod.ts";
import {
  type CheckpointStore,
  type Event,
  InMemoryCheckpointStore,
  KvCheckpointStore,
  Projection,
} from "../mod.ts";
import { eventOf, Scene } from "./scene.ts";

const COUNT = 20_000;
const ACTORS = 100;

const { js, store, connection } = await Scene.open();
for (let version = 1; version <= COUNT / ACTORS; version++) {
  const batch = Array.from({ length: ACTORS }, (_, at) => eventOf(`order-${at}`, version));
  await store.saveEvents(batch);
}
const kv = await KvCheckpointStore.open(connection, { namespace: "bench" });
let runs = 0;

async function project<Tx>(checkpoints: CheckpointStore<Tx>, partitions: number): Promise<void> {
  let count = 0;
  const all = Promise.withResolvers<void>();
  const projection = new Projection<Tx>({
    ...{ name: `bench-${++runs}`, store, checkpoints, partitions },
    handler: ({ actorId }) => {
      if (actorId !== "" && ++count === COUNT) all.resolve();
    },
  });
  const done = projection.run();
  await Promise.race([all.promise, done]);
  await projection[Symbol.asyncDispose]();
  await done;
}

const group = `replay of ${COUNT.toLocaleString("en")}`;
Deno.bench(`ordered consumer, ${group}`, { group, baseline: true }, async (bench) => {
  bench.start();
  const consumer = await js.consumers.get(store.stream, {
    filter_subjects: ["aether.bench.event.>"],
  });
  let count = 0;
  for await (const message of await consumer.consume() as AsyncIterable<JsMsg>) {
    if (message.json<Event>().actorId !== "") count++;
    if (message.info.pending === 0) break;
  }
  bench.end();
  await consumer.delete();
  if (count !== COUNT) throw new Error(`${count} of ${COUNT} events`);
});

Deno.bench(`subscribe, ${group}`, { group }, async () => {
  let count = 0;
  for await (const event of store.subscribe()) {
    if (event.actorId !== "" && ++count === COUNT) break;
  }
});

Deno.bench(`projection, checkpoints in memory, ${group}`, { group }, async () => {
  await project(new InMemoryCheckpointStore(), 1);
});

Deno.bench(`projection, checkpoints in KV, ${group}`, { group }, async () => {
  await project(kv, 1);
});

Deno.bench(`projection, checkpoints in SQLite, ${group}`, { group }, async () => {
  const db = new DatabaseSync(":memory:");
  await project(new SqliteCheckpointStore(db), 1);
  db.close();
});

Deno.bench(`projection, 8 partitions in one process, ${group}`, { group }, async () => {
  await project(new InMemoryCheckpointStore(), 8);
});
