import { assert, assertEquals } from "@std/assert";
import { JetStreamEventStore, type JetStreamEventStoreOptions } from "../../../store/mod.ts";
import { assertTruthful, fact, facts, storeApart, storedIn } from "../../support/fault.ts";
import { Load } from "../../support/fault_load.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";
import { consumersAre, consumersOf, Watch } from "../../support/watch.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
/** Events that are saved meanwhile. */
const EVENTS = LONG ? 10_000 : 2_000;

/** A store on a connection of its own. */
async function open(
  scene: Scene,
  options: JetStreamEventStoreOptions = {},
): Promise<JetStreamEventStore> {
  const { namespace } = scene;
  return await JetStreamEventStore.open(await scene.connect(), { namespace, ...options });
}

/** Does harm again and again while others save, until enough is saved; all has to come. */
async function storm(
  scene: Scene,
  store: JetStreamEventStore,
  harm: (watch: Watch) => Promise<void>,
): Promise<void> {
  const writers = [await open(scene, { timeout: 20_000 }), await open(scene, { timeout: 20_000 })];
  const watches = [
    new Watch(store.subscribe()),
    new Watch(store.subscribe({ filter: { category: "order" } })),
  ];
  const load = new Load(writers, 20);
  const start = performance.now();
  let count = 0;
  while (count < EVENTS || (LONG && performance.now() - start < 30_000)) {
    await harm(watches[0]!);
    await load.further(100);
    count = load.outcomes.reduce((sum, { events }) => sum + events.length, 0);
  }
  const outcomes = await load.stop();
  const stored = await storedIn(await scene.connect(), store.stream);
  assertTruthful(outcomes, stored);
  for (const watch of watches) await watch.assertSaw(stored);
  for (const each of [store, ...writers]) await each[Symbol.asyncDispose]();
  for (const watch of watches) assertEquals(await watch.end(), undefined);
}

natsTest("A server restarted again and again: each event comes once, in order", async (scene) => {
  await storm(scene, await open(scene), async () => {
    await scene.server.kill();
    await scene.server.restart();
  });
});

natsTest("A connection cut again and again: each event comes once, in order", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const { namespace } = scene;
  const store = await JetStreamEventStore.open(connection, { namespace });
  await storm(scene, store, async () => {
    const reconnected = nextStatus(connection, "reconnect");
    proxy.cut();
    await reconnected;
  });
});

natsTest("Consumers deleted by an operator: each event comes once, in order", async (scene) => {
  const operator = await scene.connect();
  const store = await open(scene, { timeout: 2_500 });
  await storm(scene, store, async () => {
    const names = await consumersAre(operator, store.stream, ({ length }) => length >= 2);
    for (const name of names) {
      // One that its subscription has given up is gone by now.
      await api(operator, `CONSUMER.DELETE.${store.stream}.${name}`).catch(() => {});
    }
  });
});

natsTest("Messages lost on their way: each event comes once, in order", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const { namespace } = scene;
  const store = await JetStreamEventStore.open(connection, { namespace, timeout: 2_500 });
  await storm(scene, store, async () => {
    const meal = proxy.eatFromServer((frame) => (frame.replyTo ?? "").startsWith("$JS.ACK."), 1);
    await meal.done;
  });
});

natsTest("The last message lost on its way comes with the next heartbeat", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 1_000 });
  await using writer = await open(scene);
  const watch = new Watch(store.subscribe());
  await writer.saveEvent(fact("order-1", 1));
  await watch.further(1);
  const meal = proxy.eatFromServer((frame) => (frame.replyTo ?? "").startsWith("$JS.ACK."), 1);
  await writer.saveEvent(fact("order-1", 2));
  await meal.done;
  await watch.assertSaw(await storedIn(await scene.connect(), store.stream));
});

natsTest("A reader that rests fetches a bounded number of events ahead", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  // A heartbeat of 100 ms: the server gives an idle consumer up after three seconds.
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 500 });
  await using writer = await open(scene);
  const operator = await scene.connect();
  const save = async (version: number): Promise<void> => {
    await storeApart(operator, writer, facts("order-1", version, 500));
  };
  for (let version = 1; version <= 2_000; version += 500) await save(version);
  const { promise: rested, resolve: resume } = Promise.withResolvers<void>();
  const before = connection.stats().inMsgs;
  const watch = new Watch(store.subscribe(), () => rested);
  await watch.further(1);
  for (let version = 2_001; version <= 5_000; version += 500) await save(version);
  await consumersAre(operator, store.stream, ({ length }) => length === 0);
  const fetched = connection.stats().inMsgs - before;
  assert(fetched < 1_000, `${fetched} messages came for a reader of one`);
  resume();
  await watch.assertSaw(await storedIn(operator, store.stream, { guarded: false }));
});

natsTest("A page of large events is bounded by its bytes", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace });
  const data = "x".repeat(1_000_000);
  for (let version = 1; version <= 30; version++) {
    await store.saveEvent(fact("order-1", version, data));
  }
  const { promise: rested, resolve: resume } = Promise.withResolvers<void>();
  const before = connection.stats().inBytes;
  const watch = new Watch(store.subscribe(), () => rested);
  await watch.further(1);
  await connection.flush();
  await store.getLatestVersion("order-1", { fresh: true });
  const fetched = connection.stats().inBytes - before;
  // Two pages, of which the second may be on its way, and the message that the lookup gets.
  assert(fetched < 15_000_000, `${fetched} bytes came for a reader of one event`);
  resume();
  await watch.assertSaw(await storedIn(connection, store.stream));
});

natsTest("The end of a subscription leaves no consumer behind", async (scene) => {
  await using store = await open(scene);
  const operator = await scene.connect();
  await store.saveEvent(fact("order-1", 1));
  const controller = new AbortController();
  const { signal } = controller;
  const watch = new Watch(store.subscribe({ signal }));
  await watch.further(1);
  assertEquals((await consumersOf(operator, store.stream)).length, 1);
  controller.abort();
  assertEquals(await watch.end(), undefined);
  assertEquals(await consumersOf(operator, store.stream), []);
  for await (const _ of store.subscribe()) break;
  assertEquals(await consumersOf(operator, store.stream), []);
});

natsTest("A subscription that ends while it begins leaves no consumer behind", async (scene) => {
  await using store = await open(scene);
  const operator = await scene.connect();
  await store.saveEvent(fact("order-1", 1));
  const ends: Promise<unknown>[] = [];
  for (let turns = 0; turns < 60; turns++) {
    const controller = new AbortController();
    const { signal } = controller;
    const watch = new Watch(store.subscribe({ signal }));
    for (let turn = 0; turn < turns % 20; turn++) {
      await store.getLatestVersion("x", { fresh: true });
    }
    controller.abort();
    ends.push(watch.end());
  }
  assertEquals((await Promise.all(ends)).filter((error) => error !== undefined), []);
  assertEquals(await consumersOf(operator, store.stream), []);
});
