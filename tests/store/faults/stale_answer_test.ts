/**
 * A leader that was deposed, and has not heard of it, answers one request more: that there is no message. Nobody
 * may take that for the truth.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Cluster } from "../../../cluster/mod.ts";
import {
  appendEvents,
  type Decider,
  type EventStore,
  execute,
  JetStreamEventStore,
} from "../../../mod.ts";
import { positionsOf } from "../../../store/store_positions.ts";
import { staleLeader } from "../../support/answers.ts";
import { fact, facts } from "../../support/fault.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";

const paying: Decider<number, unknown> = {
  initialState: () => 0,
  evolve: (count) => count + 1,
  decide: () => ({ eventType: "Paid", data: null }),
};

async function opened(scene: Scene, servers?: string) {
  const stale = staleLeader(await scene.connect(servers === undefined ? {} : { servers }));
  const { namespace } = scene;
  const stores = new AsyncDisposableStack();
  const open = async () =>
    stores.use(await JetStreamEventStore.open(stale.connection, { namespace }));
  return {
    ...{ stale, open, store: await open() },
    [Symbol.asyncDispose]: () => stores.disposeAsync(),
  };
}

async function versionsOf(store: EventStore, actorId: string): Promise<number[]> {
  return (await store.getEvents(actorId)).map(({ version }) => version);
}

natsTest("a subscription goes on after a reconnect", async (scene) => {
  const proxy = scene.proxy();
  await using bed = await opened(scene, proxy.url);
  const { stale, store } = bed;
  await store.saveEvent(fact("order-1", 1));
  const events = store.subscribe()[Symbol.asyncIterator]();
  await events.next();
  stale.missNext((_, query) => query.includes("next_by_subj"));
  const next = events.next();
  const again = nextStatus(stale.connection, "reconnect");
  proxy.cut();
  await again;
  await store.saveEvent(fact("order-1", 2));
  assertEquals((await next).value?.version, 2);
  assertEquals(stale.missed, 1);
  await events.return?.();
});

natsTest("a subscription may begin behind the last event of a message", async (scene) => {
  await using bed = await opened(scene);
  const { stale, store } = bed;
  const { sequence } = await store.saveEvents(facts("order-1", 1, 3));
  stale.missNext((_, query) => /^\{"seq":\d+\}$/.test(query));
  await using events = store.subscribe({ from: sequence + 1 });
  await events.caughtUp;
  assertEquals(stale.missed, 1);
});

natsTest("caughtUp waits for all events that were acknowledged", async (scene) => {
  await using bed = await opened(scene);
  const { stale, store } = bed;
  for (const event of facts("order-1", 1, 3)) await store.saveEvent(event);
  stale.missNext((_, query) => /"last_by_subj":".*[*>]"/.test(query));
  const seen: number[] = [];
  await using events = store.subscribe();
  const work = (async () => {
    for await (const { version } of events) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      seen.push(version);
    }
  })();
  await events.caughtUp;
  assertEquals(seen, [1, 2, 3]);
  await events[Symbol.asyncDispose]();
  await work;
});

natsTest("a projection from a time begins before the first event of it", async (scene) => {
  await using bed = await opened(scene);
  const { stale, store } = bed;
  await store.saveEvent(fact("order-1", 1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const time = new Date();
  await store.saveEvent(fact("order-1", 2));
  const positions = positionsOf(store)!;
  const before = await positions.before(time);
  stale.missNext((_, query) => query.includes("start_time"));
  assertEquals(await positions.before(time), before);
  assertEquals(stale.missed, 1);
});

natsTest("a command that comes again is handled once, by its time", async (scene) => {
  await using bed = await opened(scene);
  const { stale, store, open } = bed;
  const cause = new Date();
  for (const commandId of ["pay-1", "pay-2"]) {
    await execute(store, "order-1", paying, null, { commandId, cause });
  }
  const other = await open();
  stale.missNext((_, query) => query.includes("start_time"), 3);
  const again = await execute(other, "order-1", paying, null, { commandId: "pay-1", cause });
  assertEquals([again.duplicate, again.version, stale.missed], [true, 1, 3]);
  assertEquals(await versionsOf(store, "order-1"), [1, 2]);
});

natsTest(
  "a command that comes again has its outcome, though its message is not found",
  async (scene) => {
    await using bed = await opened(scene);
    const { stale, store, open } = bed;
    await execute(store, "order-1", paying, null, { commandId: "pay-1" });
    const other = await open();
    stale.missNext((_, query) => /^\{"seq":\d+\}$/.test(query));
    const again = await execute(other, "order-1", paying, null, { commandId: "pay-1" });
    assertEquals([again.duplicate, again.version], [true, 1]);
  },
);

natsTest("a cluster handles a command once that comes again, by its time", async (scene) => {
  const stale = staleLeader(await scene.connect());
  await using cluster = await Cluster.join(stale.connection, {
    ...{ namespace: scene.namespace, nodeId: "one", shards: 4, idle: 50 },
  });
  let runs = 0;
  cluster.handle(async (_command, { actorId, store }) => {
    runs++;
    const version = await store.getLatestVersion(actorId);
    await appendEvents(store, actorId, version, [{ eventType: "Paid", data: null }]);
    return "handled";
  }, { onDuplicate: () => "handled before" });
  const options = { commandId: "pay-1", cause: new Date() };
  assertEquals(await cluster.send("order-1", {}, options), "handled");
  while (cluster.describe().actors > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  stale.missNext((_, query) => query.includes("start_time"));
  assertEquals(await cluster.send("order-1", {}, options), "handled before");
  assertEquals([runs, stale.missed], [1, 1]);
});
