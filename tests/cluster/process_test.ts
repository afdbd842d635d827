/**
 * Processes whose commands go to the actors of a cluster: the manager has a plain store beside it.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Cluster } from "../../cluster/cluster.ts";
import {
  appendEvents,
  createEvent,
  execute,
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
  ProcessManager,
} from "../../store/mod.ts";
import { FencedEventStore } from "../../cluster/mod.ts";
import { natsTest } from "../support/fixture.ts";
import { assertVerified } from "../support/verified.ts";
import { place, Run, Stock, typesOf, until } from "../store/process/bed.ts";
import { orderProcess, targets } from "../store/process/order.ts";
import { join, QUICK, settled } from "./bed.ts";

type Move = { add?: number; take?: number };

/** A node that runs commands of stocks. */
function handle(cluster: Cluster): void {
  const rules = new Stock();
  cluster.handle(async (command, { actorId, store }) => {
    const { state } = await execute(store, actorId, rules, command as Move);
    return state;
  }, { onDuplicate: () => undefined });
}

natsTest(
  "processes send to a cluster whose nodes join and leave, each command once",
  async (scene) => {
    const { namespace } = scene;
    const nodes = await Promise.all(
      ["a", "b"].map((nodeId) => join(scene, nodeId, {}, undefined, handle)),
    );
    await settled(...nodes);
    await nodes[0]!.send("stock-pen", { add: 12 });
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, {
      namespace,
      shards: QUICK.shards!,
    });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    const sender = await join(scene, "sender", { capacity: 0 }, undefined, () => {});
    const manager = new ProcessManager({
      ...{ process: orderProcess(), store, checkpoints, from: "start" },
      ...{ filter: { category: "order" }, partitions: 4 },
      onError: () => {},
      send: (actorId, command, { commandId, signal }) =>
        sender.send(actorId, command, { commandId, signal }),
    });
    const ids = Array.from({ length: 20 }, (_, at) => `${at}`);
    {
      await using _run = new Run(manager);
      for (const id of ids.slice(0, 10)) await place(store, `order-${id}`);
      const third = await join(scene, "c", {}, undefined, handle);
      for (const id of ids.slice(10)) await place(store, `order-${id}`);
      await nodes.shift()!.leave();
      nodes.push(third);
      await until(async () => {
        const all = await Promise.all(ids.map((id) => manager.describe(id)));
        return all.every(({ ended, commands }) => ended !== undefined && commands.length === 0);
      });
    }
    const all = await Promise.all(ids.map((id) => manager.describe(id)));
    const ends = all.map(({ state }) => state?.what);
    assertEquals(ends.filter((what) => what === "paid by 1").length, 12);
    assertEquals(ends.filter((what) => what === "cancelled").length, 8);
    assertEquals((await typesOf(store, "stock-pen")).length, 13);
    for (const [at, id] of ids.entries()) {
      const paid = ends[at] === "cancelled" ? [] : ["Added"];
      assertEquals(await typesOf(store, `payment-${id}`), paid);
    }
    await Promise.all([...nodes, sender].map((node) => node.leave()));
    await assertVerified(connection, namespace);
  },
);

natsTest("a command that its owner does not remember any more is not sent again", async (scene) => {
  const { namespace } = scene;
  const node = await join(scene, "a", {}, undefined, handle);
  await settled(node);
  await node.send("stock-pen", { add: 10_000 });
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, {
    namespace,
    shards: QUICK.shards!,
  });
  await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
  const event = createEvent({
    ...{ eventType: "OrderPlaced", actorId: "order-1", version: 1, data: { pieces: 1 } },
  });
  await store.saveEvent({ ...event, timestamp: new Date(Date.now() - 60_000) });
  let sent = 0;
  const manage = (dies: boolean) =>
    new ProcessManager({
      ...{ process: orderProcess(), store, checkpoints, from: "start" },
      ...{ filter: { category: "order" }, partitions: 1 },
      onError: () => {},
      send: async (actorId, command, { commandId, signal }) => {
        sent++;
        await node.send(actorId, command, { commandId, signal });
        if (!dies) return;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        throw signal.reason; // Its program dies before the outcome is taken in.
      },
    });
  {
    await using _run = new Run(manage(true));
    await until(async () => (await typesOf(store, "stock-pen")).length === 2);
  }
  // More than an owner looks through, and the time in which it would be noticed otherwise.
  for (let version = 2; version < 2_000; version += 100) {
    const drafts = Array.from({ length: 100 }, () => ({
      ...{ eventType: "Added", data: { pieces: 1 } },
    }));
    for (const [at, draft] of drafts.entries()) {
      await appendEvents(store, "stock-pen", version + at, [draft]);
    }
  }
  await node.leave();
  const next = await join(scene, "b", {}, undefined, handle);
  await settled(next);
  const before = sent;
  await new Promise((resolve) => setTimeout(resolve, 5_100)); // Until the command is old.
  const manager = new ProcessManager({
    ...{ process: orderProcess(), store, checkpoints, from: "start" },
    ...{ filter: { category: "order" }, partitions: 1 },
    onError: () => {},
    send: async (actorId, command, { commandId, signal }) => {
      sent++;
      await next.send(actorId, command, { commandId, signal });
    },
  });
  {
    await using _run = new Run(manager);
    await until(async () => (await manager.describe("1")).ended !== undefined);
  }
  assertEquals(sent - before, 1); // The payment.
  const taken = (await typesOf(store, "stock-pen")).filter((type) => type === "Taken");
  assertEquals(taken.length, 1);
  await next.leave();
});

natsTest("a manager on a fenced store says what it needs", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using plain = await JetStreamEventStore.open(connection, { namespace });
  await using store = await FencedEventStore.open(connection, { namespace, nodeId: "a" });
  await place(plain, "order-1");
  const manager = new ProcessManager({
    ...{ process: orderProcess(), store, checkpoints: new InMemoryCheckpointStore() },
    ...{ filter: { category: "order" }, from: "start", deciders: targets() },
    ...{ retry: { attempts: 1 }, onError: () => {} },
  });
  const error = await assertRejects(() => manager.run(), Error);
  assert(isAetherError(error, "PoisonEventError"));
  assert(String((error.cause as Error).message).includes("JetStreamEventStore of its own"));
  await manager[Symbol.asyncDispose]();
});
