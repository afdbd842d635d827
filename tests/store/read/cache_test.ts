import { assert, assertEquals, assertRejects } from "@std/assert";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { turns } from "../../../testing/event_store/kit.ts";
import { fact, facts, storeApart } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import { type Opened, storeTest } from "../../support/stores.ts";

/** Requests that a lookup of the actor's version takes. */
async function requests({ store, connection }: Opened, actorId: string): Promise<number> {
  const before = connection.stats().outMsgs;
  await store.getLatestVersion(actorId);
  return connection.stats().outMsgs - before;
}

storeTest(
  "A save of another store makes a cached version stale; with fresh it is not",
  async (stores) => {
    const first = await stores.open({ cacheMaxAge: 1_000_000 });
    const { store: second } = await stores.open();
    const { store } = first;
    await store.saveEvent(fact("order-1", 1));
    await second.saveEvent(fact("order-1", 2));
    assertEquals(await requests(first, "order-1"), 0);
    assertEquals(await store.getLatestVersion("order-1"), 1);
    assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 2);
    assertEquals(await store.getLatestVersion("order-1"), 2);
    // A read sees what is newer, and so does a lookup from then on.
    for (const [version, direction] of [[3, "forwards"], [4, "backwards"]] as const) {
      await second.saveEvent(fact("order-1", version));
      const read = await Array.fromAsync(store.readEvents("order-1", { direction }));
      assertEquals(read.length, version);
      assertEquals(await store.getLatestVersion("order-1"), version);
    }
  },
);

storeTest("A read that ends early is no word on the latest version", async (stores) => {
  const { store: writer, connection } = await stores.open();
  await storeApart(connection, writer, facts("order-1", 1, 900));
  await writer.saveEvents(facts("order-1", 901, 900));
  for (
    const options of [
      { limit: 10 },
      { toVersion: 5 },
      { fromVersion: 300, limit: 1 },
      { fromVersion: 901, limit: 1 },
      { fromVersion: 1799, limit: 1 },
      { toVersion: 1799 },
    ]
  ) {
    const { store } = await stores.open({ cacheMaxAge: 1_000_000 });
    await Array.fromAsync(store.readEvents("order-1", options));
    assertEquals(await store.getLatestVersion("order-1"), 1800, JSON.stringify(options));
  }
});

storeTest("A stale cache makes no save wrong", async (stores) => {
  const { store } = await stores.open({ cacheMaxAge: 1_000_000 });
  const { store: second } = await stores.open();
  await store.saveEvent(fact("order-1", 1));
  const other = fact("order-1", 2);
  await second.saveEvent(other);
  const error = await assertRejects(() => store.saveEvent(fact("order-1", 2)));
  assert(isAetherError(error, "VersionConflictError"), String(error));
  assertEquals(error.currentVersion, 2);
  await second.saveEvent(fact("order-1", 3));
  assertEquals((await store.saveEvent(other)).duplicate, true);
  await second.saveEvent(fact("order-1", 4));
  assertEquals((await store.saveEvent(fact("order-1", 5))).duplicate, false);
  assertEquals((await second.getEvents("order-1")).map(({ version }) => version), [1, 2, 3, 4, 5]);
});

storeTest("A lookup answers nothing older than cacheMaxAge", async (stores) => {
  const cacheMaxAge = 100;
  const { store } = await stores.open({ cacheMaxAge });
  const { store: second } = await stores.open();
  await second.saveEvent(fact("order-1", 1));
  for (let version = 2; version <= 4; version++) {
    await store.getLatestVersion("order-1", { fresh: true });
    const told = performance.now();
    await second.saveEvent(fact("order-1", version));
    for (;;) {
      const asked = performance.now();
      if (await store.getLatestVersion("order-1") === version) break;
      assert(asked - told <= cacheMaxAge, `Stale ${asked - told} ms after the server's word`);
      await turns();
    }
  }
  const always = await stores.open({ cacheMaxAge: 0 });
  for (let time = 0; time < 3; time++) assertEquals(await requests(always, "order-1"), 1);
});

storeTest("The cache keeps as many actors as its limit", async (stores) => {
  const cacheSize = 50;
  const opened = await stores.open({ cacheSize, cacheMaxAge: 1_000_000 });
  const actors = Array.from({ length: 200 }, (_, at) => `order-${at}`);
  for (const actorId of actors) await opened.store.saveEvent(fact(actorId, 1));
  let kept = 0;
  // The newest first: an actor that is looked up again drives others out.
  for (const actorId of actors.toReversed()) {
    if (await requests(opened, actorId) === 0) kept++;
  }
  assertEquals(kept, cacheSize);
  assertEquals(await requests(opened, actors[0]!), 0);
  assertEquals(await requests(opened, actors.at(-1)!), 1);
});

for (const groupCommit of [false, true]) {
  const how = groupCommit ? ", in a group" : "";
  natsTest(
    `An acknowledgement that comes late says nothing of the present${how}`,
    async (scene) => {
      const { namespace } = scene;
      const cacheMaxAge = 100;
      const proxy = scene.proxy();
      const late = await scene.connect({ servers: proxy.url });
      const options = { namespace, cacheMaxAge, groupCommit };
      await using store = await JetStreamEventStore.open(late, options);
      await using other = await JetStreamEventStore.open(await scene.connect(), options);
      const actorId = "order-1";
      await store.getLatestVersion(actorId);
      const gate = Promise.withResolvers<"pass">();
      proxy.onServerFrame = () => gate.promise;
      const saving = store.saveEvent(fact(actorId, 1));
      while (await other.getLatestVersion(actorId, { fresh: true }) === 0);
      const stored = performance.now(); // the save was sent before, a moment after it began
      await other.saveEvent(fact(actorId, 2));
      while (performance.now() - stored <= cacheMaxAge) await other.getLatestVersion(actorId);
      gate.resolve("pass");
      await saving;
      assertEquals(await store.getLatestVersion(actorId), 2);
    },
  );
}

natsTest("No actors have no latest versions, and nothing is asked for them", async (scene) => {
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, {
    namespace: scene.namespace,
    timeout: 1_000,
  });
  await store.saveEvent(fact("order-1", 1));
  await scene.server.pause();
  // From now on the stream has to be checked, which fails as long as the server is silent.
  await assertRejects(() => store.saveEvent(fact("order-1", 2)));
  const before = connection.stats().outMsgs;
  assertEquals(await store.getLatestVersions([]), new Map());
  assertEquals(connection.stats().outMsgs, before);
  await scene.server.resume();
  assertEquals(await store.getLatestVersion("order-1"), 2);
});
