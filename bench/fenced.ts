/**
 * Fenced saves beside plain ones, and beside raw atomic batches with the same compare-and-sets and
 * guards: saves a second with 1,000 in flight over 500 actors, one save alone, and how long claims
 * take side by side. On one server and on a cluster with replicas 3.
 *
 *     deno task deno run -A bench/fenced.ts [--seconds=3]
 */
import { headers } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { FencedEventStore } from "../cluster/mod.ts";
import { type Event, JetStreamEventStore } from "../mod.ts";
import { Layout } from "../store/format/layout.ts";
import { NatsCluster } from "../tools/nats_cluster.ts";
import { NatsServer } from "../tools/nats_server.ts";
import { bodyOf, eventOf, saveHeaders } from "./scene.ts";

const SECONDS = Number(/--seconds=(\d+)/.exec(Deno.args.join(" "))?.[1] ?? 3);
const ACTORS = 500;
const EXPECT = "Nats-Expected-Last-Subject-Sequence";

interface Saver {
  saveEvent(event: Event): Promise<unknown>;
}

/** Saves a second, with two saves of each of 500 actors in flight. */
async function rateOf(store: Saver): Promise<number> {
  let saved = 0;
  const end = performance.now() + SECONDS * 1000;
  const begun = performance.now();
  await Promise.all(
    [...Array(ACTORS).keys()].map(async (at) => {
      for (let version = 1; performance.now() < end; version += 2) {
        const saves = [version, version + 1].map((it) =>
          store.saveEvent(eventOf(`many-${at}`, it))
        );
        await Promise.all(saves);
        saved += 2;
      }
    }),
  );
  return saved / (performance.now() - begun) * 1000;
}

/** The median time of a save alone, in ms. */
async function timeOf(store: Saver): Promise<number> {
  const times: number[] = [];
  for (let version = 1; version <= 200; version++) {
    const begun = performance.now();
    await store.saveEvent(eventOf("alone-1", version));
    times.push(performance.now() - begun);
  }
  return times.sort((one, other) => one - other)[100]!;
}

/** Events a second in batches of 1,000 by hand, two of each actor, guards on the second ones. */
async function rawRate(
  connection: NatsConnection,
  layout: Layout,
  shards: number,
  fences: ReadonlyMap<number, number>,
): Promise<number> {
  const last = new Map<string, number>();
  const end = performance.now() + SECONDS * 1000;
  const begun = performance.now();
  let saved = 0;
  for (let version = 1; performance.now() < end; version += 2) {
    const guards = [...fences];
    const id = crypto.randomUUID();
    const events = [...Array(2 * ACTORS).keys()].map((at) =>
      eventOf(`raw-${Math.floor(at / 2)}`, version + at % 2)
    );
    let answer: Promise<{ json<T>(): T }> | undefined;
    for (const [at, event] of events.entries()) {
      const subject = layout.event(event.actorId, shards);
      const fields = at % 2 === 0 ? saveHeaders(event, last.get(subject) ?? 0) : headers();
      const guard = at % 2 === 0 ? undefined : guards.shift();
      if (guard !== undefined) {
        fields.set(EXPECT, String(guard[1]));
        fields.set(`${EXPECT}-Subject`, layout.fence(guard[0]));
      }
      fields.set("Nats-Batch-Id", id);
      fields.set("Nats-Batch-Sequence", String(at + 1));
      const body = bodyOf(event);
      if (at < events.length - 1) connection.publish(subject, body, { headers: fields });
      else {
        fields.set("Nats-Batch-Commit", "1");
        answer = connection.request(subject, body, { headers: fields, timeout: 10_000 });
      }
    }
    const ack = (await answer!).json<{ seq: number; error?: unknown }>();
    if (ack.error !== undefined) throw new Error(JSON.stringify(ack));
    const first = ack.seq - events.length + 1;
    for (const [at, { actorId }] of events.entries()) {
      last.set(layout.event(actorId, shards), first + at);
    }
    saved += events.length;
  }
  return saved / (performance.now() - begun) * 1000;
}

async function run(urls: string[], replicas: number): Promise<void> {
  const connection = await connect({ servers: urls });
  const rows: string[] = [];
  for (const shards of [1, 256]) {
    const open = (namespace: string) => ({ namespace: `${namespace}-${shards}`, shards, replicas });
    const plain = await JetStreamEventStore.open(connection, open("plain"));
    const figures: [string, number, number][] = [
      ["plain", await rateOf(plain), await timeOf(plain)],
    ];
    for (const mode of ["optimistic", "fenced"] as const) {
      const store = await FencedEventStore.open(connection, { ...open(mode), nodeId: "a", mode });
      await Promise.all([...Array(shards).keys()].map((shard) => store.claim(shard, 1)));
      figures.push([mode, await rateOf(store), await timeOf(store)]);
      await store[Symbol.asyncDispose]();
    }
    const raw = await FencedEventStore.open(connection, { ...open("raw"), nodeId: "a" });
    const fences = new Map(
      await Promise.all([...Array(shards).keys()].map(async (shard) => {
        const { sequence } = await raw.claim(shard, 1);
        return [shard, sequence] as const;
      })),
    );
    figures.push([
      "raw batches of 1,000",
      await rawRate(connection, new Layout(raw.namespace), shards, fences),
      NaN,
    ]);
    await raw[Symbol.asyncDispose]();
    await plain[Symbol.asyncDispose]();
    for (const [name, rate, time] of figures) {
      const alone = Number.isNaN(time) ? "" : time.toFixed(2);
      rows.push(`| ${name} | ${shards} | ${Math.round(rate)} | ${alone} |`);
    }
  }
  const many = { namespace: "claims", shards: 1_000, replicas };
  const owner = await FencedEventStore.open(connection, { ...many, nodeId: "a" });
  const heir = await FencedEventStore.open(connection, { ...many, nodeId: "b" });
  const times: number[] = [];
  for (let mapVersion = 1; mapVersion <= 20; mapVersion++) {
    const next = mapVersion % 2 === 0 ? owner : heir;
    const begun = performance.now();
    await Promise.all([...Array(334).keys()].map((at) => next.claim(at * 2, mapVersion)));
    times.push(performance.now() - begun);
  }
  times.sort((one, other) => one - other);
  await owner[Symbol.asyncDispose]();
  await heir[Symbol.asyncDispose]();
  await connection.close();
  console.log(`\nReplicas ${replicas}\n`);
  console.log("| Saves | Shards | Saves/s, 1,000 in flight | One alone, ms |");
  console.log("| --- | ---: | ---: | ---: |");
  console.log(rows.join("\n"));
  const [median, most] = [times[10]!, times.at(-1)!].map((ms) => ms.toFixed(0));
  console.log(`\n334 of 1,000 shards claimed: median ${median} ms, at most ${most} ms of 20`);
}

const server = await NatsServer.start();
await run([server.url], 1);
await server[Symbol.asyncDispose]();
const cluster = await NatsCluster.start(3);
await run([...cluster.urls], 3);
await cluster[Symbol.asyncDispose]();
Deno.exit(0);
