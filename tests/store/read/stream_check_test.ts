import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { FencedEventStore } from "../../../cluster/mod.ts";
import { Layout } from "../../../store/format/layout.ts";
import {
  type EventStore,
  execute,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
} from "../../../store/mod.ts";
import { backup, restore } from "../../support/backup.ts";
import { attempt, fact, unknownError } from "../../support/fault.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";
import type { Proxy } from "../../support/proxy.ts";

/** A store with three events of `order-1`, behind a proxy. */
class Stage implements AsyncDisposable {
  readonly namespace: string;
  readonly store: JetStreamEventStore;
  readonly operator: NatsConnection;
  readonly proxy: Proxy;
  readonly #connection: NatsConnection;

  private constructor(
    store: JetStreamEventStore,
    operator: NatsConnection,
    proxy: Proxy,
    connection: NatsConnection,
  ) {
    this.namespace = store.namespace;
    this.store = store;
    this.operator = operator;
    this.proxy = proxy;
    this.#connection = connection;
  }

  /** One in a namespace of its own. */
  static async open(scene: Scene, operator: NatsConnection): Promise<Stage> {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    const namespace = `own-${crypto.randomUUID()}`;
    const store = await JetStreamEventStore.open(connection, { namespace, timeout: 2_000 });
    for (const version of [1, 2, 3]) await store.saveEvent(fact("order-1", version));
    return new Stage(store, operator, proxy, connection);
  }

  /** Breaks the store's connection, and resolves when it is back. */
  async reconnect(): Promise<void> {
    const reconnected = nextStatus(this.#connection, "reconnect");
    this.proxy.cut();
    await reconnected;
  }

  /** Makes another stream of this name. */
  async remake(): Promise<void> {
    await api(this.operator, `STREAM.DELETE.${this.store.stream}`);
  }

  /** Puts the stream back as it was before its first event. */
  async restore(): Promise<void> {
    await restore(this.operator, this.store.stream, await backup(this.operator, this.store.stream));
  }

  /** Writes others' events, as many as there were or more. */
  async grow(count: number): Promise<void> {
    await using other = await this.reopen();
    for (let version = 1; version <= count; version++) {
      await other.saveEvent(fact("order-1", version, { other: true }));
    }
  }

  /** The last sequence of the stream. */
  async end(): Promise<number> {
    const { stream } = this.store;
    const info = await api<{ state: { last_seq: number } }>(this.operator, `STREAM.INFO.${stream}`);
    return info.state.last_seq;
  }

  /** Says that the stream was restored. */
  async epoch(id: string): Promise<void> {
    const body = JSON.stringify({ epoch: id, restoredAt: new Date().toISOString() });
    await this.operator.request(new Layout(this.namespace).epoch, body, { timeout: 5_000 });
  }

  reopen(): Promise<JetStreamEventStore> {
    return JetStreamEventStore.open(this.operator, { namespace: this.namespace });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.#connection.close();
  }
}

/** The changes of the stream under a store that is open. */
const SWAPS: Record<string, (stage: Stage) => Promise<void>> = {
  "made again": async (stage) => {
    await stage.remake();
    await stage.grow(3);
  },
  "made again and longer": async (stage) => {
    await stage.remake();
    await stage.grow(9);
  },
  "restored and grown again": async (stage) => {
    await stage.restore();
    await stage.grow(9);
  },
  "restored without its tail": async (stage) => {
    await stage.restore();
    await stage.grow(1);
  },
  "restored without its tail, and not saved to": (stage) => stage.restore(),
  "given an epoch": (stage) => stage.epoch(crypto.randomUUID()),
};

/** The calls of a store; none of them may be answered from another stream. */
const USES: Record<string, (store: EventStore) => Promise<unknown>> = {
  "a save on what was read": (store) => store.saveEvent(fact("order-1", 4)),
  "a save of a new actor": (store) => store.saveEvent(fact("order-2", 1)),
  "a batch with a guard": (store) =>
    store.saveEvents([fact("order-3", 1)], { expect: [{ actorId: "order-1", version: 3 }] }),
  "a history": (store) => store.getEvents("order-1"),
  "a version from memory": (store) => store.getLatestVersion("order-1"),
  "a version": (store) => store.getLatestVersion("order-1", { fresh: true }),
  "the whole store": (store) => Array.fromAsync(store.readAll()),
  "a category": (store) => Array.fromAsync(store.readAll({ filter: { category: "order" } })),
  "the actors": (store) => Array.fromAsync(store.listActors()),
  "a subscription": (store) => store.subscribe()[Symbol.asyncIterator]().next(),
  "a command": (store) =>
    execute(store, "order-1", {
      initialState: () => 0,
      evolve: (state: number) => state + 1,
      decide: () => ({ eventType: "Happened", data: null }),
    }, null),
};

async function assertRegressed(use: () => Promise<unknown>, what: string): Promise<Error> {
  const error = await assertRejects(use, Error, undefined, what);
  assert(isAetherError(error, "StreamRegressedError"), `${what}: ${error}`);
  return error;
}

/** Moves the clock by which the library measures times on, until disposed. */
function later(ms: number): Disposable {
  const now = performance.now;
  performance.now = () => now.call(performance) + ms;
  return { [Symbol.dispose]: () => performance.now = now };
}

for (const [how, swap] of Object.entries(SWAPS)) {
  natsTest(
    `Of a stream that was ${how} nothing is read or saved after a reconnect`,
    async (scene) => {
      const operator = await scene.connect();
      for (const [what, use] of Object.entries(USES)) {
        await using stage = await Stage.open(scene, operator);
        await swap(stage);
        await stage.reconnect();
        const before = await stage.end();
        const error = await assertRegressed(() => use(stage.store), what);
        assertMatch(error.message, /open the store again|lost its tail/, what);
        // It stays so, whatever is asked for next, until the store is opened again.
        for (const [next, again] of Object.entries(USES)) {
          await assertRegressed(() => again(stage.store), `${what}, then ${next}`);
        }
        assertEquals(await stage.end(), before, `${what}: where the stream ends`);
        await using opened = await stage.reopen();
        assertEquals((await opened.saveEvent(fact("order-9", 1))).duplicate, false);
      }
    },
  );
}

natsTest(
  "Of another stream of the name no read gives anything, connected all the time",
  async (scene) => {
    const operator = await scene.connect();
    const reads = ["a history", "a version", "the whole store", "a category", "a subscription"];
    for (const what of reads) {
      await using stage = await Stage.open(scene, operator);
      await SWAPS["made again"]!(stage);
      await assertRegressed(() => USES[what]!(stage.store), what);
      await assertRegressed(
        () => stage.store.saveEvent(fact("order-1", 4)),
        `${what}, then a save`,
      );
    }
  },
);

natsTest(
  "A save that another stream takes is no success where its place is an older one",
  async (scene) => {
    const operator = await scene.connect();
    // A restored one has the same identity: only the store itself remembers what it has noticed.
    for (const how of ["remake", "restore"] as const) {
      await using stage = await Stage.open(scene, operator);
      await stage[how]();
      await stage.grow(1);
      const error = await assertRegressed(
        () => stage.store.saveEvent(fact("order-2", 1)),
        `a save of a new actor (${how})`,
      );
      assertMatch(error.message, /and has this save/);
      const end = await stage.end();
      for (const [what, use] of Object.entries(USES)) {
        await assertRegressed(() => use(stage.store), `${what} (${how})`);
      }
      assertEquals(await stage.end(), end, `where the stream ends (${how})`);
    }
  },
);

natsTest("Of another stream of the name nothing is saved after a while", async (scene) => {
  const operator = await scene.connect();
  for (const swap of Object.values(SWAPS)) {
    // In use: the first save after half a minute begins the check, and does not wait for it.
    await using busy = await Stage.open(scene, operator);
    await swap(busy);
    {
      using _ = later(31_000);
      for (let at = 0, isRefused = false; !isRefused; at++) {
        assert(at < 10_000, "It never notices");
        isRefused = await busy.store.saveEvent(fact(`bill-${at}`, 1)).then(() => false, () => true);
      }
    }
    await assertRegressed(() => busy.store.saveEvent(fact("order-3", 1)), "a save");
    // Not in use for long: the first one waits.
    await using idle = await Stage.open(scene, operator);
    await swap(idle);
    using _ = later(61_000);
    await assertRegressed(() => idle.store.saveEvent(fact("order-2", 1)), "a save");
  }
});

natsTest("Of a save without an answer another stream says nothing", async (scene) => {
  const operator = await scene.connect();
  await using stage = await Stage.open(scene, operator);
  const meal = stage.proxy.eatFromClient((frame) => frame.subject.endsWith(".order-1"));
  const outcome = await attempt(stage.store, fact("order-1", 4));
  meal.stop();
  const error = unknownError(outcome);
  await stage.remake();
  await stage.grow(9);
  await assertRegressed(() => error.settle(), "settle()");
});

natsTest("A node claims and writes no shard of another stream", async (scene) => {
  const operator = await scene.connect();
  const proxy = scene.proxy();
  const { namespace } = scene;
  const connection = await scene.connect({ servers: proxy.url });
  await using node = await FencedEventStore.open(connection, {
    ...{ namespace, nodeId: "one", timeout: 2_000 },
  });
  const shard = node.shardOf("order-1");
  await node.claim(shard, 1);
  await node.saveEvent(fact("order-1", 1));
  await api(operator, `STREAM.DELETE.${node.stream}`);
  await using other = await FencedEventStore.open(operator, { namespace, nodeId: "one" });
  await other.claim(shard, 1);
  await other.saveEvent(fact("order-1", 1));
  const reconnected = nextStatus(connection, "reconnect");
  proxy.cut();
  await reconnected;
  await assertRegressed(() => node.saveEvent(fact("order-1", 2)), "a save");
  await assertRegressed(() => node.claim(shard + 1, 1), "a claim");
});

natsTest("The identity names the genesis and the last epoch", async (scene) => {
  const operator = await scene.connect();
  await using stage = await Stage.open(scene, operator);
  const { namespace, store } = stage;
  await using checkpoints = await KvCheckpointStore.open(operator, { namespace });
  const run = async (store: EventStore) => {
    const projection = new Projection({ name: "p", store, checkpoints, handler: () => {} });
    try {
      const running = projection.run();
      await Promise.race([projection.caughtUp, running]);
    } finally {
      await projection[Symbol.asyncDispose]();
    }
  };
  await run(store);
  const identities = [store.identity];
  for (const id of ["a", "b"]) {
    await stage.epoch(id);
    await using opened = await stage.reopen();
    identities.push(opened.identity);
    await using same = await stage.reopen();
    assertEquals(same.identity, opened.identity);
    // A position that was remembered before the restore is refused.
    await assertRegressed(() => run(opened), "a projection");
  }
  assert(identities[0] !== "");
  assertEquals(identities.slice(1), [`${identities[0]}+a`, `${identities[0]}+b`]);
});

natsTest(
  "Control: a stream that stays is read and saved after reconnects and pauses",
  async (scene) => {
    const operator = await scene.connect();
    await using stage = await Stage.open(scene, operator);
    const { store } = stage;
    for (const ms of [0, 31_000, 61_000]) {
      await stage.reconnect();
      using _ = later(ms);
      for (const [what, use] of Object.entries(USES)) {
        if (what.startsWith("a save") || what.startsWith("a batch")) continue;
        await use(store);
      }
      await store.saveEvent(fact(`bill-${ms}`, 1));
    }
  },
);
