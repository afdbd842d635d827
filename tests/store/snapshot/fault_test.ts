import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  isAetherError,
  JetStreamSnapshotStore,
  type JetStreamSnapshotStoreOptions,
  type Snapshot,
} from "../../../store/mod.ts";
import { tampered, withoutExpectation } from "../../support/fault.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";
import type { Verdict } from "../../support/proxy.ts";

const QUERY = { name: "order", schemaVersion: 1 };

function taken(version: number, init: Partial<Snapshot> = {}): Snapshot {
  const timestamp = new Date(version);
  return {
    actorId: "order-1",
    name: "order",
    version,
    schemaVersion: 1,
    state: { version },
    timestamp,
    ...init,
  };
}

async function open(
  { namespace }: Scene,
  connection: NatsConnection,
  options: JetStreamSnapshotStoreOptions = {},
): Promise<JetStreamSnapshotStore> {
  return await JetStreamSnapshotStore.open(connection, { namespace, timeout: 5_000, ...options });
}

/** The version that the store gives; 0 where it gives none. */
async function versionIn(store: JetStreamSnapshotStore): Promise<number> {
  return (await store.getLatestSnapshot("order-1", QUERY))?.version ?? 0;
}

/** How many messages the stream has taken in all. */
async function written(connection: NatsConnection, stream: string): Promise<number> {
  const info = await api<{ state: { last_seq: number } }>(connection, `STREAM.INFO.${stream}`, {});
  return info.state.last_seq;
}

natsTest("A snapshot whose ack is eaten is kept once, and reported as kept", async (scene) => {
  const proxy = scene.proxy();
  await using store = await open(scene, await scene.connect({ servers: proxy.url }));
  for (const version of [1, 2, 3]) {
    const meal = proxy.eatAcks();
    assertEquals(await store.saveSnapshot(taken(version)), true);
    assertEquals(meal.eaten.length, 1);
  }
  assertEquals(await versionIn(store), 3);
  assertEquals(await written(await scene.connect(), store.stream), 3);
});

natsTest("A snapshot whose ack is cut off with the connection is kept once", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using store = await open(scene, connection);
  for (let version = 1; version <= 5; version++) {
    const reconnected = nextStatus(connection, "reconnect");
    proxy.cutAtMessage();
    assertEquals(await store.saveSnapshot(taken(version)), true);
    await reconnected;
  }
  assertEquals(await written(await scene.connect(), store.stream), 5);
});

/**
 * Two writers: the older snapshot is on its way, held up, while the newer one is kept. Gives
 * what the older one's writer is told, and the version that stands in the end.
 */
async function overtake(
  scene: Scene,
  change: (connection: NatsConnection) => NatsConnection,
): Promise<[told: boolean, version: number]> {
  const proxy = scene.proxy();
  await using slow = await open(scene, change(await scene.connect({ servers: proxy.url })));
  await using quick = await open(scene, await scene.connect());
  const held = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  proxy.onClientFrame = async ({ subject }): Promise<Verdict> => {
    if (!subject.startsWith("aether-snapshot.")) return "pass";
    proxy.onClientFrame = () => "pass";
    held.resolve();
    await release.promise;
    return "pass";
  };
  const older = slow.saveSnapshot(taken(5));
  await held.promise;
  assertEquals(await quick.saveSnapshot(taken(9)), true);
  release.resolve();
  return [await older, await versionIn(quick)];
}

natsTest("An older snapshot that comes late does not replace a newer one", async (scene) => {
  assertEquals(await overtake(scene, (connection) => connection), [false, 9]);
});

natsTest("Control: without the compare-and-set an older snapshot replaces it", async (scene) => {
  const change = (connection: NatsConnection) => tampered(connection, withoutExpectation);
  assertEquals(await overtake(scene, change), [true, 5]);
});

natsTest("The highest version of 20 writers on connections of their own wins", async (scene) => {
  const stores = await Promise.all(
    Array.from({ length: 20 }, async () => await open(scene, await scene.connect())),
  );
  for (let round = 0; round < 10; round++) {
    const told = await Promise.all(stores.map((store, at) =>
      // Each round's versions are above those of the round before, in another order.
      store.saveSnapshot(taken(round * 20 + (at * 7 + round) % 20 + 1))
    ));
    const highest = (round + 1) * 20;
    assert(told[stores.findIndex((_, at) => (at * 7 + round) % 20 === 19)]);
    for (const store of stores) assertEquals(await versionIn(store), highest);
  }
  for (const store of stores) await store[Symbol.asyncDispose]();
});

natsTest(
  "Killed and restarted during saves: reported snapshots are kept, or newer ones",
  async (scene) => {
    await using store = await open(scene, await scene.connect(), { timeout: 20_000 });
    let version = 0;
    for (let round = 0; round < 3; round++) {
      const saves = Array.from({ length: 20 }, () => store.saveSnapshot(taken(++version)));
      await scene.server.kill();
      const reading = store.getLatestSnapshot("order-1", QUERY);
      await scene.server.restart();
      assertEquals(await Promise.all(saves), saves.map(() => true));
      await reading;
      assertEquals(await versionIn(store), version);
    }
  },
);

natsTest("A server that is down or frozen is a StoreUnavailableError in time", async (scene) => {
  await using store = await open(scene, await scene.connect(), { timeout: 500 });
  await store.saveSnapshot(taken(1));
  const inTime = async () => {
    const start = performance.now();
    // They queue up, for they are of one actor: all end by their own deadline.
    const calls = [
      store.saveSnapshot(taken(2)),
      store.saveSnapshot(taken(3)),
      store.getLatestSnapshot("order-1", QUERY),
    ];
    for (const error of await Promise.all(calls.map((call) => assertRejects(() => call)))) {
      assert(isAetherError(error, "StoreUnavailableError"), String(error));
    }
    const ms = performance.now() - start;
    assert(ms < 1_500, `It took ${ms} ms`);
  };
  await scene.server.pause();
  await inTime();
  scene.server.resume();
  // A save on its way may have been kept or not; saving it again settles that.
  await store.saveSnapshot(taken(3));
  assertEquals(await versionIn(store), 3);
  await scene.server.kill();
  await inTime();
  await scene.server.restart();
  assertEquals(await store.saveSnapshot(taken(4)), true);
  assertEquals(await versionIn(store), 4);
});

natsTest("A store that is disposed, or whose connection is closed, says so", async (scene) => {
  const connection = await scene.connect();
  const store = await open(scene, connection);
  await using other = await open(scene, connection);
  await store[Symbol.asyncDispose]();
  for (const call of [() => store.saveSnapshot(taken(1)), () => versionIn(store)]) {
    const error = await assertRejects(call);
    assert(isAetherError(error, "StoreUnavailableError"), String(error));
    assertMatch(error.message, /the store is disposed/);
  }
  assertEquals(await other.saveSnapshot(taken(1)), true);
  await connection.close();
  for (const call of [() => other.saveSnapshot(taken(2)), () => versionIn(other)]) {
    const error = await assertRejects(call);
    assert(isAetherError(error, "StoreUnavailableError"), String(error));
    assertMatch(error.message, /closed/);
  }
});

const GOOD = {
  actorId: "order-1",
  name: "order",
  version: 9,
  schemaVersion: 1,
  state: 9,
  timestamp: "2020-01-01",
};

/** Bodies that may take the place of the last snapshot. */
const CORRUPT: Record<string, string | Uint8Array> = {
  "nothing": "",
  "garbage": "garbage",
  "a cut": JSON.stringify(GOOD).slice(0, -5),
  "no UTF-8": Uint8Array.of(0x22, 0xff, 0x22),
  "null": "null",
  "an array": "[]",
  "a number": "7",
  "another actor's": JSON.stringify({ ...GOOD, actorId: "order-2" }),
  "another schema's": JSON.stringify({ ...GOOD, schemaVersion: 2 }),
  "another name's": JSON.stringify({ ...GOOD, name: "total" }),
  "without version": JSON.stringify({ ...GOOD, version: undefined }),
  "of version 0": JSON.stringify({ ...GOOD, version: 0 }),
  "of version 1e30": JSON.stringify({ ...GOOD, version: 1e30 }),
  "without state": JSON.stringify({ ...GOOD, state: undefined }),
  "without timestamp": JSON.stringify({ ...GOOD, timestamp: undefined }),
  "of no time": JSON.stringify({ ...GOOD, timestamp: "yesterday" }),
};

natsTest("Where the last snapshot is corrupt, the one before it is given", async (scene) => {
  const connection = await scene.connect();
  await using store = await open(scene, connection, { keep: 3 });
  await using other = await open(scene, await scene.connect());
  const subject = `aether-snapshot.${scene.namespace}.order.1.order-1`;
  let version = 1;
  for (const [what, body] of Object.entries(CORRUPT)) {
    await store.saveSnapshot(taken(++version));
    await connection.request(subject, body);
    for (const each of [store, other]) {
      assertEquals(await each.getLatestSnapshot("order-1", QUERY), taken(version), what);
      // Neither does an older one slip in under the corrupt one, …
      assertEquals(await each.saveSnapshot(taken(version - 1)), false, what);
      assertEquals(await versionIn(each), version, what);
    }
    // … nor does the corrupt one stand in the way of a newer one.
    assertEquals(await other.saveSnapshot(taken(++version)), true, what);
    assertEquals(await versionIn(store), version, what);
  }
});

natsTest("If no snapshot can be read there is none, and a new one is kept", async (scene) => {
  const connection = await scene.connect();
  for (const keep of [1, 2]) {
    const namespace = `${scene.namespace}-${keep}`;
    await using store = await open(scene, connection, { namespace, keep });
    await store.saveSnapshot(taken(7));
    for (let at = 0; at < keep; at++) {
      await connection.request(`aether-snapshot.${namespace}.order.1.order-1`, "garbage");
    }
    assertEquals(await store.getLatestSnapshot("order-1", QUERY), undefined);
    assertEquals(await store.saveSnapshot(taken(5)), true);
    assertEquals(await versionIn(store), 5);
  }
});

natsTest("Snapshots that were purged are gone, and new ones are kept", async (scene) => {
  const connection = await scene.connect();
  await using store = await open(scene, connection);
  await store.saveSnapshot(taken(7));
  await store.saveSnapshot(taken(7, { schemaVersion: 2 }));
  const filter = `aether-snapshot.${scene.namespace}.order.1.*`;
  await api(connection, `STREAM.PURGE.${store.stream}`, { filter });
  assertEquals(await versionIn(store), 0);
  assertEquals(await store.saveSnapshot(taken(5)), true);
  assertEquals(await versionIn(store), 5);
  const other = await store.getLatestSnapshot("order-1", { name: "order", schemaVersion: 2 });
  assertEquals(other?.version, 7);
});
