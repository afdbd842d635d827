import { assert, assertEquals } from "@std/assert";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { attemptWith } from "./batch_bed.ts";
import {
  assertTruthful,
  attempt,
  fact,
  type Outcome,
  storedIn,
  tally,
} from "../../support/fault.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";

const DATA = "x".repeat(1_000);

/** A store on a stream that takes no more than `bytes`. */
async function limited(scene: Scene, bytes: number, replicas = 1): Promise<JetStreamEventStore> {
  const { namespace } = scene;
  const connection = await scene.connect();
  const stream = `AETHER_${namespace}`;
  await using first = await JetStreamEventStore.open(connection, { namespace, replicas });
  const info = await connection.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeout: 5_000 });
  const { config } = info.json<{ config: Record<string, unknown> }>();
  const update = JSON.stringify({ ...config, max_bytes: bytes });
  const answer = await connection.request(`$JS.API.STREAM.UPDATE.${stream}`, update, {
    timeout: 5_000,
  });
  assertEquals(answer.json<{ error?: unknown }>().error, undefined);
  assertEquals(first.stream, stream);
  return await JetStreamEventStore.open(connection, { namespace });
}

natsTest("A group for a full stream: each save is refused, and absent", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await limited(scene, 40_000);
  const data = "x".repeat(1_000);
  const outcomes = await Promise.all(
    Array.from({ length: 100 }, (_, at) => attempt(store, fact("order-1", at + 1, data))),
  );
  const { saved = 0, unavailable = 0, ...others } = tally(outcomes);
  assertEquals(others, {});
  assert(saved > 0 && unavailable > 0, `${saved} saved, ${unavailable} unavailable`);
  const { error } = outcomes.at(-1)!;
  assert(isAetherError(error, "StoreRefusedError"), String(error));
  assertEquals([error.serverCode, error.message.includes("maximum bytes")], [10077, true]);
  assertTruthful(outcomes, await storedIn(connection, `AETHER_${namespace}`));
});

/** Fills a stream by batches of many sizes until nothing fits any more. */
async function fill(scene: Scene, replicas: number): Promise<Outcome[]> {
  await using store = await limited(scene, 300_000, replicas);
  const outcomes: Outcome[] = [];
  for (const size of [100, 70, 50, 40, 20, 10, 7, 5, 3, 2, 1]) {
    for (let round = 0;; round++) {
      const events = Array.from(
        { length: size },
        (_, at) => fact(`order-${size}-${round}-${at % 4}`, at + 1, DATA),
      );
      const expect = round % 2 === 0 ? [] : [{ actorId: "nobody-1", version: 0 }];
      const outcome = await attemptWith(store, events, { expect });
      outcomes.push(outcome);
      if (outcome.kind === "saved") continue;
      assertEquals(outcome.kind, "unavailable", String(outcome.error));
      const { message } = outcome.error as Error;
      assert(message.includes("maximum bytes"), message);
      break;
    }
  }
  const stored = await storedIn(await scene.connect(), store.stream);
  assertTruthful(outcomes, stored);
  assert(stored.length > 150, `${stored.length} events fit`);
  for await (const { actorId } of store.readAll()) await store.getEvents(actorId);
  return outcomes;
}

natsTest("Batches for a stream that fills up are stored whole or not at all", async (scene) => {
  const { saved = 0, unavailable = 0 } = tally(await fill(scene, 1));
  assert(saved > 3 && unavailable > 10, `${saved} saved, ${unavailable} unavailable`);
});

clusterTest("The same on replicas", async (scene) => {
  const { saved = 0, unavailable = 0 } = tally(await fill(scene, 3));
  assert(saved > 3 && unavailable > 10, `${saved} saved, ${unavailable} unavailable`);
});

/** Fills a stream by saves and batches that are in flight at the same time. */
async function fillAtOnce(scene: Scene, replicas: number): Promise<void> {
  const { namespace } = scene;
  const first = await limited(scene, 600_000, replicas);
  const stores = [first];
  for (const { url } of scene.servers) {
    const connection = await scene.connect({ servers: url });
    stores.push(await JetStreamEventStore.open(connection, { namespace }));
  }
  const outcomes: Outcome[] = [];
  await Promise.all(Array.from({ length: 48 }, async (_, worker) => {
    const store = stores[worker % stores.length]!;
    for (let round = 0, kind = "saved"; kind === "saved"; round++) {
      const size = worker % 3 > 0 ? 1 : 2 + round % 9;
      const events = Array.from({ length: size }, (_, at) => {
        return fact(`order-${worker}-${round}-${at % 2}`, at + 1, DATA);
      });
      const outcome = await attempt(store, ...events);
      outcomes.push(outcome);
      kind = outcome.kind;
    }
  }));
  const { saved = 0, unavailable = 0, ...others } = tally(outcomes);
  const connection = await scene.connect();
  const stored = await storedIn(connection, first.stream);
  for (const store of stores) await store[Symbol.asyncDispose]();
  assertTruthful(outcomes, stored);
  assertEquals(others, {});
  assert(saved > 3 && unavailable > 10, `${saved} saved, ${unavailable} unavailable`);
}

natsTest("Batches that race for the last bytes are stored whole or not at all", async (scene) => {
  await fillAtOnce(scene, 1);
});

clusterTest("The same race on replicas", async (scene) => {
  await fillAtOnce(scene, 3);
});
