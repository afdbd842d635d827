import { assert, assertEquals, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import {
  assertTruthful,
  attempt,
  fact,
  forgotten,
  type Outcome,
  storedIn,
  tally,
} from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";

/** Waits until `count` of `promises` have settled. */
async function some(promises: readonly Promise<unknown>[], count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = count;
  for (const each of promises) each.finally(() => --left === 0 && resolve());
  await promise;
}

/** Saves in flight and in queues: single ones and batches, over many actors. */
function load(store: JetStreamEventStore): Promise<Outcome>[] {
  return Array.from({ length: 400 }, (_, at) => {
    const actor = at % 40;
    const version = Math.floor(at / 40) * 2 + 1;
    return actor % 4 === 0
      ? attempt(store, fact(`order-${actor}`, version), fact(`order-${actor}`, version + 1))
      : attempt(store, fact(`order-${actor}`, version));
  });
}

const ENDS: Record<string, (connection: NatsConnection) => Promise<void>> = {
  "drain()": (connection) => connection.drain(),
  "close()": (connection) => connection.close(),
};

for (const [name, end] of Object.entries(ENDS)) {
  natsTest(`${name} under load: every save ends, and all reports are true`, async (scene) => {
    const { namespace } = scene;
    const direct = await scene.connect();
    for (const started of [0, 1, 100]) {
      const own = `${namespace}-${started}`;
      const connection = await scene.connect();
      const store = await JetStreamEventStore.open(connection, { namespace: own, timeout: 5_000 });
      const saves = load(store);
      const reads = Promise.allSettled(
        Array.from({ length: 20 }, (_, at) => store.getEvents(`order-${at}`)),
      );
      if (started > 0) await some(saves, started);
      const cid = connection.info?.client_id;
      const start = performance.now();
      await end(connection);
      const outcomes = await Promise.all(saves);
      for (const result of await reads) {
        if (result.status === "fulfilled") continue;
        assert(isAetherError(result.reason, "StoreUnavailableError"), String(result.reason));
      }
      const ms = performance.now() - start;
      assert(ms < 2_000, `The last save ended ${ms} ms after ${name}`);
      await forgotten(scene.server, cid);
      const kinds = tally(outcomes);
      assertEquals(kinds.conflict ?? 0, 0, JSON.stringify(kinds));
      assertTruthful(outcomes, await storedIn(direct, store.stream));
      // Saving again through another store settles each.
      await using other = await JetStreamEventStore.open(direct, { namespace: own });
      for (const { kind, events } of outcomes) {
        const again = (await attempt(other, ...events)).kind;
        if (kind === "saved") assertEquals(again, "duplicate");
        else if (kind === "unavailable") assert(again === "saved" || again === "conflict", again);
      }
      const late = await attempt(store, fact("late-1", 1));
      assertEquals(late.kind, "unavailable");
      await store[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    }
  });
}

natsTest("Disposal under load waits for the saves; all of them are stored", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const store = await JetStreamEventStore.open(connection, { namespace });
  const saves = load(store);
  await store[Symbol.asyncDispose]();
  const late = await attempt(store, fact("late-1", 1));
  assertEquals(late.kind, "unavailable");
  const outcomes = await Promise.all(saves);
  assertEquals(tally(outcomes), { saved: 400 });
  assertTruthful(outcomes, await storedIn(connection, store.stream));
  assertEquals(connection.isClosed(), false);
});

natsTest("Disposal while the connection drains ends well", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const store = await JetStreamEventStore.open(connection, { namespace });
  const saves = load(store);
  const cid = connection.info?.client_id;
  const drained = connection.drain();
  await store[Symbol.asyncDispose]();
  await drained;
  await forgotten(scene.server, cid);
  const outcomes = await Promise.all(saves);
  assertTruthful(outcomes, await storedIn(await scene.connect(), store.stream));
});

natsTest("Control: a batch that ends with the connection was stored in part", async (scene) => {
  // Else the tests above would see no save whose fate the store cannot know.
  const direct = await scene.connect();
  for (let round = 0;; round++) {
    const connection = await scene.connect();
    const namespace = `${scene.namespace}-${round}`;
    const store = await JetStreamEventStore.open(connection, { namespace });
    const saves = load(store);
    await connection.flush();
    const cid = connection.info?.client_id;
    await connection.close();
    const outcomes = await Promise.all(saves);
    await forgotten(scene.server, cid);
    const stored = new Set((await storedIn(direct, store.stream)).map(({ id }) => id));
    const unknown = outcomes.filter(({ kind }) => kind === "unknown");
    await store[Symbol.asyncDispose]();
    if (unknown.some(({ events }) => stored.has(events[0]!.id))) return;
    assert(round < 50, "No save of unknown outcome was stored");
  }
});

natsTest(
  "A store on a connection that is closed or drains is unavailable at once",
  async (scene) => {
    for (const end of Object.values(ENDS)) {
      const connection = await scene.connect();
      const ended = end(connection);
      for (let round = 0; round < 2; round++) {
        const error = await assertRejects(() => JetStreamEventStore.open(connection));
        assert(isAetherError(error, "StoreUnavailableError"), String(error));
        await ended;
      }
    }
  },
);
