import { assert, assertEquals } from "@std/assert";
import { JetStreamEventStore, type JetStreamEventStoreOptions } from "../../../store/mod.ts";
import {
  assertTruthful,
  attempt,
  fact,
  type Outcome,
  settled,
  storedIn,
  tally,
  tampered,
  withoutOp,
} from "../../support/fault.ts";
import { Load } from "../../support/fault_load.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";

async function open(
  scene: Scene,
  options: JetStreamEventStoreOptions = {},
): Promise<JetStreamEventStore> {
  const { namespace } = scene;
  return await JetStreamEventStore.open(await scene.connect(), { namespace, ...options });
}

natsTest(
  "Killed and restarted between saves: nothing is lost, no false conflict",
  async (scene) => {
    await using store = await open(scene);
    await using other = await open(scene);
    const outcomes: Outcome[] = [];
    for (let round = 0; round < 5; round++) {
      const version = round * 3 + 1;
      outcomes.push(await attempt(store, fact("order-1", version)));
      outcomes.push(await attempt(other, fact("order-2", version)));
      outcomes.push(await attempt(store, fact("order-1", version + 1), fact("order-3", version)));
      await scene.server.kill();
      await scene.server.restart();
      // The cached head of order-1 in `store` is outdated now.
      outcomes.push(await attempt(other, fact("order-1", version + 2)));
      assertEquals((await store.getEvents("order-1")).length, version + 2);
      assertEquals(await store.getLatestVersion("order-2", { fresh: true }), version);
    }
    assertEquals(tally(outcomes), { saved: outcomes.length });
    assertTruthful(outcomes, await storedIn(await scene.connect(), store.stream));
  },
);

natsTest("Killed and restarted during saves: all reports are true", async (scene) => {
  const stores = [await open(scene), await open(scene)];
  const load = new Load(stores, 20);
  for (let round = 0; round < 4; round++) {
    await load.further(50);
    await scene.server.kill();
    await scene.server.restart();
  }
  await load.further(50);
  const outcomes = await load.stop();
  const kinds = tally(outcomes);
  assertEquals(kinds, { saved: outcomes.length });
  assertTruthful(outcomes, await storedIn(await scene.connect(), stores[0]!.stream));
  for (const store of stores) await store[Symbol.asyncDispose]();
});

natsTest("Down for longer than the deadline: all reports are true", async (scene) => {
  await using store = await open(scene, { timeout: 500 });
  const load = new Load([store], 20);
  await load.further(50);
  await scene.server.kill();
  await load.further(20);
  await scene.server.restart();
  await load.further(50);
  const outcomes = await load.stop();
  const { unknown = 0, unavailable = 0 } = tally(outcomes);
  assert(unknown + unavailable >= 20, `${unknown} unknown, ${unavailable} unavailable`);
  const stored = await storedIn(await scene.connect(), store.stream);
  assertTruthful(outcomes, stored);
  for (const outcome of outcomes.filter(({ kind }) => kind === "unknown")) {
    const isStored = stored.some(({ id }) => id === outcome.events[0]!.id);
    // The actor has newer events by now, which makes every outcome final.
    assertEquals(await settled(outcome), isStored ? "saved" : "not-saved");
  }
});

natsTest("A connection cut in the middle of saves: each is saved once", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace });
  const load = new Load([store], 20);
  for (let round = 0; round < 10; round++) {
    await load.further(30);
    const reconnected = nextStatus(connection, "reconnect");
    proxy.cut();
    await reconnected;
  }
  const outcomes = await load.stop();
  assertEquals(tally(outcomes), { saved: outcomes.length });
  assertTruthful(outcomes, await storedIn(await scene.connect(), store.stream));
});

natsTest(
  "Control: cut connections make duplicates of saves that do not know their own",
  async (scene) => {
    const proxy = scene.proxy();
    const connection = tampered(await scene.connect({ servers: proxy.url }), withoutOp);
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(connection, { namespace });
    for (let version = 1;; version++) {
      const reconnected = nextStatus(connection, "reconnect");
      proxy.cutAtMessage();
      const { kind } = await attempt(store, fact("order-1", version));
      await reconnected;
      if (kind === "duplicate") return;
      assertEquals(kind, "saved");
    }
  },
);

natsTest("Cut with the ack on its way, each time: saved once, no duplicate", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace });
  const outcomes: Outcome[] = [];
  for (let version = 1; version <= 10; version++) {
    const reconnected = nextStatus(connection, "reconnect");
    proxy.cutAtMessage();
    outcomes.push(await attempt(store, fact("order-1", version), fact("stock-1", version)));
    await reconnected;
  }
  assertEquals(tally(outcomes), { saved: 10 });
  assertTruthful(outcomes, await storedIn(await scene.connect(), store.stream));
});
