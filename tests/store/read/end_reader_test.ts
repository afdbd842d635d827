import { assert, assertEquals, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { messageSequenceOf } from "../../../store/format/position.ts";
import { type Event, isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";

/** Messages that the answering servers have not heard of yet. */
interface Stale {
  /** The last position of `order-1` that the deposed leader knows. */
  leader?: number | undefined;
  /** The last position that the nearest replica has. */
  replica?: number | undefined;
  /** Answers of the replica until it has caught up. @default {Infinity} */
  answers?: number;
}

/**
 * `connection` to servers that are behind: requests for an end are changed on their way, so that
 * the real server gives the answer that was true at that sequence.
 */
function behind(connection: NatsConnection, stale: Stale): NatsConnection {
  const change = (subject: string, payload: unknown): unknown => {
    if (typeof payload !== "string" || !/^\$JS\.API\.(STREAM\.MSG|DIRECT)\.GET\./.test(subject)) {
      return payload;
    }
    const query = JSON.parse(payload);
    if (stale.leader !== undefined && /\.order(-1|\.\*)$/.test(query.last_by_subj ?? "")) {
      return JSON.stringify({ seq: messageSequenceOf(stale.leader) });
    }
    const { answers = Infinity } = stale;
    if (query.multi_last === undefined || stale.replica === undefined || answers <= 0) {
      return payload;
    }
    stale.answers = answers - 1;
    return JSON.stringify({ ...query, up_to_seq: messageSequenceOf(stale.replica) });
  };
  return new Proxy(connection, {
    get(target, name): unknown {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "publish") return value.bind(target);
      return (subject: string, payload: unknown, ...rest: []) =>
        target.publish(subject, change(subject, payload) as string, ...rest);
    },
  });
}

interface Opened extends AsyncDisposable {
  readonly store: JetStreamEventStore;
  readonly cold: JetStreamEventStore;
  readonly stale: Stale;
  /** The position of version 1. */
  readonly old: number;
}

/**
 * A store that has saved versions 1 and 2 of `order-1` and has forgotten that actor since, and
 * another one that was never told of anything; the servers of both may be behind.
 */
async function open(
  scene: Scene,
  options: { replicas?: number; timeout?: number } = {},
): Promise<Opened> {
  const stale: Stale = {};
  const { namespace } = scene;
  const connection = behind(await scene.connect(), stale);
  const settings = { namespace, cacheSize: 1, ...options };
  const store = await JetStreamEventStore.open(connection, settings);
  const cold = await JetStreamEventStore.open(connection, settings);
  const { sequence: old } = await store.saveEvent(fact("order-1", 1));
  await store.saveEvent(fact("order-1", 2));
  await store.saveEvent(fact("bill-1", 1));
  const stack = new AsyncDisposableStack();
  stack.use(store);
  stack.use(cold);
  return { store, cold, stale, old, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function versionsIn(events: readonly Event[]): number[] {
  return events.map(({ version }) => version);
}

clusterTest(
  "A deposed leader makes no lookup stale of an actor that was forgotten",
  async (scene) => {
    const { store, cold, stale, old } = await open(scene, { replicas: 3 });
    await using _ = store;
    await using __ = cold;
    stale.leader = old;
    for (let time = 0; time < 5; time++) {
      assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 2);
      assertEquals(await store.getLatestVersion("bill-1", { fresh: true }), 1);
    }
    // The control: a store that has heard of nothing believes the answer.
    assertEquals(await cold.getLatestVersion("order-1", { fresh: true }), 1);
  },
);

clusterTest("A deposed leader makes no conflict of an expectation that is met", async (scene) => {
  await using opened = await open(scene, { replicas: 3 });
  const { store, cold, stale, old } = opened;
  stale.leader = old;
  const expect = [{ actorId: "order-1", version: 2 }];
  assertEquals((await store.saveEvents([fact("stock-1", 1)], { expect })).duplicate, false);
  assertEquals((await store.saveEvents([fact("order-1", 3)], { expect })).duplicate, false);
  const error = await assertRejects(() => cold.saveEvents([fact("stock-2", 1)], { expect }));
  assert(isAetherError(error, "VersionConflictError"), String(error));
  assertEquals(error.currentVersion, 1);
});

natsTest("With one server a single request gets the head, and proves it", async (scene) => {
  await using opened = await open(scene);
  const { store, stale, old } = opened;
  const connection = await scene.connect();
  await using own = await JetStreamEventStore.open(connection, { namespace: scene.namespace });
  for (let at = 2; at < 5; at++) await own.saveEvent(fact(`bill-${at}`, 1));
  for (const actorId of ["order-1", "bill-2", "nobody"]) {
    const before = connection.stats().outMsgs;
    await own.getLatestVersion(actorId, { fresh: true });
    assertEquals(connection.stats().outMsgs - before, 1, actorId);
  }
  Object.assign(stale, { leader: old, replica: old, answers: 3 });
  assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 2);
  assertEquals(stale.answers, 0);
});

natsTest(
  "A deposed leader makes no category short whose last messages are large",
  async (scene) => {
    await using opened = await open(scene);
    const { store, stale, old } = opened;
    for (let at = 2; at <= 11; at++) {
      await store.saveEvent(
        fact(`order-${at}`, 1, "x".repeat(500_000)),
      );
    }
    stale.leader = old;
    const events = await Array.fromAsync(store.readAll({ filter: { category: "order" } }));
    assertEquals(events.length, 12);
  },
);

natsTest("Two servers that are behind make no read of a forgotten actor short", async (scene) => {
  await using opened = await open(scene);
  const { store, stale, old } = opened;
  const reads: Record<string, () => Promise<Event[]>> = {
    "getEvents()": () => store.getEvents("order-1"),
    "backwards": () =>
      Array.fromAsync(store.readEvents("order-1", { direction: "backwards" }))
        .then((events) => events.reverse()),
    "getEventsWithErrors()": async () => (await store.getEventsWithErrors("order-1")).events,
    "readAll() of the actor": () =>
      Array.fromAsync(store.readAll({ filter: { actorId: "order-1" } })),
    "readAll() of the category": () =>
      Array.fromAsync(store.readAll({ filter: { category: "order" } })),
  };
  for (const [way, read] of Object.entries(reads)) {
    // Makes the cache forget the actor again.
    await store.getLatestVersion("bill-1", { fresh: true });
    Object.assign(stale, { leader: old, replica: old, answers: 2 });
    assertEquals(versionsIn(await read()), [1, 2], way);
    assertEquals(stale.answers, 0, way);
  }
});

natsTest("Servers that are behind make no read of several actors short", async (scene) => {
  await using opened = await open(scene);
  const { store, stale, old } = opened;
  const ids = ["order-1", "bill-1", "nobody"];
  // The answers that are tried of many actors at once, and those after which each is asked for alone.
  for (const answers of [1, 2, 5, 7]) {
    for (const remembered of [false, true]) {
      await store.getLatestVersion(remembered ? "order-1" : "bill-1", { fresh: true });
      Object.assign(stale, { leader: old, replica: old, answers });
      const versions = await store.getLatestVersions(ids, { fresh: true });
      assertEquals([...versions.values()], [2, 1, 0]);
      assertEquals(stale.answers, 0);
      Object.assign(stale, { leader: old, replica: old, answers });
      const histories = await store.getEventsOf(ids);
      assertEquals([...histories.values()].map(versionsIn), [[1, 2], [1], []]);
      assertEquals(stale.answers, 0);
    }
  }
});

clusterTest("A follower that is behind hides nothing that another store saved", async (scene) => {
  const { store, cold, stale, old } = await open(scene, { replicas: 3 });
  await using _ = store;
  await using __ = cold;
  Object.assign(stale, { replica: old, answers: 2 });
  const versions = await cold.getLatestVersions(["order-1", "bill-1"], { fresh: true });
  assertEquals([...versions.values()], [2, 1]);
  assertEquals(stale.answers, 0);
});

clusterTest("A follower that is behind makes no lookup of one actor stale", async (scene) => {
  const { store, cold, stale, old } = await open(scene, { replicas: 3 });
  await using _ = store;
  await using __ = cold;
  stale.replica = old;
  assertEquals(await cold.getLatestVersion("order-1", { fresh: true }), 2);
});

natsTest("A thousand actors take five requests, and none if they are remembered", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace });
  const ids = Array.from({ length: 999 }, (_, at) => `order-${at}`);
  await store.saveEvents(ids.map((actorId) => fact(actorId, 1)));
  await store.saveEvent(fact("order-1000", 1));
  await store.saveEvent(fact("order-1000", 2));
  const requests = async (work: () => Promise<unknown>) => {
    const before = connection.stats().outMsgs;
    await work();
    return connection.stats().outMsgs - before;
  };
  const all = [...ids, "order-1000"];
  assertEquals(await requests(() => store.getLatestVersions(all, { fresh: true })), 4);
  assertEquals(await requests(() => store.getLatestVersions(all)), 0);
  assertEquals(await requests(() => store.getEventsOf(all)), 5);
});

natsTest("If no server has an acknowledged event, a read is an error in time", async (scene) => {
  await using opened = await open(scene, { timeout: 1000 });
  const { store, stale, old } = opened;
  const lookup = () => store.getLatestVersion("order-1", { fresh: true });
  for (const remembered of [false, true]) {
    for (
      const read of [
        () => store.getEvents("order-1"),
        lookup,
        () => store.getLatestVersions(["bill-1", "order-1"], { fresh: true }),
        () => store.getEventsOf(["bill-1", "order-1"]),
        () => Array.fromAsync(store.readAll({ filter: { category: "order" } })),
      ]
    ) {
      Object.assign(stale, { leader: undefined, replica: undefined });
      await store.getLatestVersion("bill-1", { fresh: true });
      if (remembered) assertEquals(await lookup(), 2);
      Object.assign(stale, { leader: old, replica: old });
      // It is not lost: the answering server is behind.
      const error = await assertRejects(read);
      assert(isAetherError(error, "StoreUnavailableError"), String(error));
    }
  }
});

natsTest(
  "A lost acknowledged event is reported, though the stream grew again",
  async (scene) => {
    await using opened = await open(scene, { timeout: 1000 });
    const { store } = opened;
    await store.saveEvent(fact("order-1", 3));
    const connection = await scene.connect();
    const deleted = await connection.request(`$JS.API.STREAM.DELETE.${store.stream}`, "");
    assertEquals(deleted.json<{ success: boolean }>().success, true);
    const { namespace } = scene;
    await using restored = await JetStreamEventStore.open(connection, { namespace });
    await restored.saveEvent(fact("order-1", 1));
    const reads = [
      () => store.getEvents("order-1"),
      () => store.getLatestVersion("order-1", { fresh: true }),
      () => store.getLatestVersions(["bill-1", "order-1"], { fresh: true }),
      () => store.getEventsOf(["bill-1", "order-1"]),
    ];
    for (const grown of [false, true]) {
      for (let version = 1; grown && version <= 9; version++) {
        await restored.saveEvent(fact("bill-1", version));
      }
      for (const read of reads) {
        const error = await assertRejects(read);
        assert(isAetherError(error, "StreamRegressedError"), String(error));
      }
    }
  },
);

natsTest("A category of many actors is read to its end", async (scene) => {
  await using opened = await open(scene);
  const { store } = opened;
  // More than a server gives the last messages of at once.
  for (let first = 0; first < 1500; first += 500) {
    await store.saveEvents(
      Array.from({ length: 500 }, (_, at) => fact(`user-${first + at}`, 1)),
    );
  }
  await store.saveEvent(fact("bill-1", 2));
  for (
    const [category, count] of [["user", 1500], ["order", 2], ["bill", 2], ["none", 0]] as const
  ) {
    const events = await Array.fromAsync(store.readAll({ filter: { category } }));
    assertEquals(events.length, count, category);
  }
});
