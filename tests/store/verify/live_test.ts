import { assert, assertEquals } from "@std/assert";
import {
  InMemorySnapshotStore,
  JetStreamEventStore,
  verify,
  type VerifyReport,
} from "../../../store/mod.ts";
import { backup, restore } from "../../support/backup.ts";
import { fact } from "../../support/fault.ts";
import { clusterTest, natsTest } from "../../support/fixture.ts";
import { storeTest } from "../../support/stores.ts";
import { assertSound, facts } from "./bed.ts";

storeTest("a store is verified while others write", async (stores) => {
  const { store } = await stores.open();
  const { store: other } = await stores.open();
  let stop = false;
  const writing = [store, other].map(async (store, seat) => {
    for (let version = 1; !stop; version++) {
      const ids = Array.from({ length: 5 }, (_, at) => `order-${seat}-${at}`);
      await store.saveEvents(ids.map((actorId) => fact(actorId, version)));
      await store.saveEvents(facts(`single-${seat}`, 2 * version - 1, 2 * version));
    }
  });
  let [from, events] = [0, 0];
  for (let round = 0; round < 20; round++) {
    const report: VerifyReport = assertSound(await verify(other, { from }));
    from = report.next;
    events += report.events;
  }
  stop = true;
  await Promise.all(writing);
  events += assertSound(await verify(other, { from })).events;
  assertEquals(assertSound(await verify(store)).events, events);
});

storeTest(
  "a restored store is sound, and what remembers its lost future is not",
  async (stores) => {
    const { store, connection } = await stores.open();
    const saved = await backup(connection, store.stream);
    await store.saveEvents(facts("order-1", 1, 5));
    const snapshots = new InMemorySnapshotStore();
    const evolution = { initialState: () => 0, evolve: (count: number) => count + 1 };
    const rest = { actorId: "order-1", name: "state", schemaVersion: 1, timestamp: new Date() };
    const [last] = await store.getEvents("order-1", 5);
    const { id: lastEventId } = last!;
    await snapshots.saveSnapshot({ ...rest, version: 5, state: 5, lastEventId });
    const options = { snapshots: { store: snapshots, name: "state", schemaVersion: 1, evolution } };
    assertEquals(assertSound(await verify(store, options)).snapshots, 1);
    await restore(connection, store.stream, saved);
    const { store: restored } = await stores.open();
    await restored.saveEvents(facts("order-1", 1, 6));
    assertSound(await verify(restored));
    const { problems } = await verify(restored, options);
    assertEquals(problems.map(({ rule }) => rule), ["snapshot"]);
  },
);

natsTest("a user who may make no consumers can verify", async (scene) => {
  const root = await scene.connect({ user: "root", pass: "p" });
  const options = { namespace: "shop" };
  await using store = await JetStreamEventStore.open(root, options);
  for (let version = 1; version <= 2_000; version += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, at) => store.saveEvent(fact(`o-${at}`, version))),
    );
  }
  const plain = await scene.connect({ user: "plain", pass: "p", inboxPrefix: "_INBOX_plain" });
  await using own = await JetStreamEventStore.open(plain, options);
  assertEquals(assertSound(await verify(own)).events, 2_000);
}, {
  server: {
    config: `authorization { users: [
      { user: root, password: p },
      { user: plain, password: p, permissions: {
        publish: ["aether.shop.>", "$JS.API.STREAM.INFO.AETHER_shop",
          "$JS.API.STREAM.MSG.GET.AETHER_shop", "$JS.API.DIRECT.GET.AETHER_shop"],
        subscribe: ["_INBOX_plain.>"]
      } }
    ] }`,
  },
});

clusterTest("a stream on replicas is verified while its leader changes", async (scene) => {
  const connection = await scene.connect();
  const options = { namespace: scene.namespace, replicas: 3 };
  await using store = await JetStreamEventStore.open(connection, options);
  for (let at = 0; at < 6; at++) {
    await store.saveEvents(
      Array.from({ length: 1000 }, (_, actor) => fact(`order-${at}-${actor}`, 1)),
    );
  }
  const leader = await scene.cluster.leaderOf(store.stream);
  const verification = verify(store);
  let killed: Promise<void> | undefined;
  for await (const { messages } of verification) {
    if (messages > 0) killed ??= leader.kill();
  }
  const report = assertSound(await verification);
  assertEquals(report.events, 6_000);
  await killed;
  assert(killed !== undefined);
  await leader.restart();
  await scene.cluster.waitHealthy();
  assertSound(await verify(store));
}, { leakCheck: false });
