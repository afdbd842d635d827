/**
 * Reactors over lost acks, outages, kill -9 and SIGSTOP.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  appendEvents,
  execute,
  JetStreamEventStore,
  KvCheckpointStore,
  Reactor,
} from "../../../mod.ts";
import { Child } from "../../support/child.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { place, Run, Stock, typesOf, until } from "./bed.ts";

const STOCK = "stock-pen";
const SCRIPT = new URL("./worker.ts", import.meta.url);

function start({ server: { url }, namespace }: Scene): Child {
  return new Child(SCRIPT, [url, namespace]);
}

/** Saves events of `count` orders, each of its own. */
async function placeMany(store: JetStreamEventStore, from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at++) await place(store, `order-${at}`);
}

natsTest("a command has its events once when acks are lost and connections cut", async (scene) => {
  const { namespace } = scene;
  const direct = await scene.connect();
  await using plain = await JetStreamEventStore.open(direct, { namespace });
  await execute(plain, STOCK, new Stock(), { add: 100 });
  await placeMany(plain, 0, 20);
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 500 });
  await using checkpoints = await KvCheckpointStore.open(direct, { namespace });
  proxy.eatAcks(5);
  await using run = new Run(
    new Reactor({
      ...{ name: "reserve", store, checkpoints, from: "start", partitions: 4 },
      filter: { category: "order" },
      retry: { attempts: 1 },
      onError: () => {},
      react: ({ actorId }) => {
        if (actorId === "order-7") proxy.cutAtMessage();
        return { actorId: STOCK, decider: new Stock(), command: { take: 1 } };
      },
    }),
  );
  await run.of.caughtUp;
  assertEquals(await run.of.parked(), []);
  assertEquals((await typesOf(plain, STOCK)).length, 21);
});

natsTest(
  "it waits for as long as the receiver is out of reach, and parks nothing",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    const proxy = scene.proxy();
    const far = await scene.connect({ servers: proxy.url });
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await using there = await JetStreamEventStore.open(far, {
      namespace: `${namespace}-there`,
      timeout: 100,
    });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    await appendEvents(there, STOCK, 0, [{ eventType: "Added", data: { pieces: 9 } }]);
    await place(store, "order-1");
    proxy.refusing = true;
    proxy.cut();
    let failures = 0;
    const tried = Promise.withResolvers<void>();
    await using run = new Run(
      new Reactor({
        ...{ name: "reserve", store, checkpoints, from: "start" },
        filter: { category: "order" },
        retry: { attempts: 1 },
        onError: () => ++failures === 4 && tried.resolve(),
        react: () => ({ actorId: STOCK, command: { take: 1 } }),
        // A cause of another store is no bound of the search.
        send: (actorId, command, facts) =>
          execute(there, actorId, new Stock(), command as { take: number }, facts),
      }),
    );
    await tried.promise;
    assertEquals(await run.of.parked(), []);
    proxy.refusing = false;
    await run.of.caughtUp;
    assertEquals(await typesOf(there, STOCK), ["Added", "Taken"]);
  },
);

natsTest("a command has its events once over kill -9 and SIGSTOP of its process", async (scene) => {
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await execute(store, STOCK, new Stock(), { add: 10_000 });
  const count = async () => (await typesOf(store, STOCK)).length - 1;
  let placed = 0;
  const more = async (orders: number) => {
    await placeMany(store, placed, orders);
    placed += orders;
  };
  await more(50);
  for (let round = 0; round < 3; round++) {
    const child = start(scene);
    await child.line();
    await more(20); // The kill falls amid the handling of these.
    await child.kill();
  }
  const frozen = start(scene);
  await frozen.line();
  await more(20);
  await frozen.stop();
  const next = start(scene);
  await more(20);
  await until(async () => await count() >= placed);
  frozen.resume(); // It believes that it still runs its partitions.
  await more(10);
  await until(async () => await count() >= placed);
  await frozen.end();
  await next.end();
  assertEquals(await count(), placed);
}, { leakCheck: false });
