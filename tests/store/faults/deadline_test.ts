import { assert, assertEquals, assertRejects } from "@std/assert";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import {
  assertTruthful,
  attempt,
  fact,
  type Outcome,
  settled,
  storedIn,
  tally,
  unknownError,
} from "../../support/fault.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";

const TIMEOUT = 500;

/** A store that gives up soon. */
async function hasty(scene: Scene): Promise<JetStreamEventStore> {
  const connection = await scene.connect();
  return await JetStreamEventStore.open(connection, {
    namespace: scene.namespace,
    timeout: TIMEOUT,
  });
}

/** The result of `work`, and how many ms it took. */
async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  return [await work(), performance.now() - start];
}

natsTest("A server frozen past the deadline: unknown, then settled as saved", async (scene) => {
  await using store = await hasty(scene);
  const direct = await scene.connect();
  const outcomes: Outcome[] = [];
  for (let round = 1; round <= 5; round++) {
    const event = fact(`order-${round}`, 1);
    const batch = [fact(`stock-${round}`, 1), fact(`bill-${round}`, 1)];
    await scene.server.pause();
    const saves = await Promise.all([attempt(store, event), attempt(store, ...batch)]);
    const errors = saves.map(unknownError);
    const unanswered = await assertRejects(() => errors[0]!.settle());
    assert(isAetherError(unanswered, "StoreUnavailableError"));
    scene.server.resume();
    for (const save of saves) assertEquals(await settled(save), "saved");
    assertEquals((await attempt(store, event)).kind, "duplicate");
    assertEquals((await attempt(store, ...batch)).kind, "duplicate");
    outcomes.push(...saves);
  }
  assertTruthful(outcomes, await storedIn(direct, store.stream));
});

natsTest("A publish that outlives its connection is never settled as never", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: TIMEOUT });
  await using other = await JetStreamEventStore.open(await scene.connect(), {
    namespace: scene.namespace,
  });
  const direct = await scene.connect();
  const outcomes: Outcome[] = [];
  for (let round = 1; round <= 3; round++) {
    const event = fact(`order-${round}`, 1);
    await scene.server.pause();
    const outcome = await attempt(store, event);
    unknownError(outcome);
    // The server has the publish in its buffer; the client is on another connection by then.
    const reconnected = nextStatus(connection, "reconnect");
    proxy.cut();
    scene.server.resume();
    await reconnected;
    const fate = await settled(outcome);
    assert(fate !== "not-saved", `It is settled as ${fate}`);
    const again = await attempt(other, event);
    assert(again.kind === "duplicate" || again.kind === "saved");
    outcomes.push(again);
  }
  assertTruthful(outcomes, await storedIn(direct, store.stream));
});

natsTest(
  "Saves that queue up for one actor of a frozen server end by the deadline",
  async (scene) => {
    await using store = await hasty(scene);
    await store.saveEvent(fact("order-1", 1));
    await using cold = await hasty(scene);
    await scene.server.pause();
    const saves = Array.from({ length: 20 }, (_, at) => attempt(cold, fact("order-1", at + 2)));
    const [outcomes, ms] = await timed(() => Promise.all(saves));
    scene.server.resume();
    assert(ms < 3 * TIMEOUT, `The last of them ended after ${ms} ms`);
    assertEquals(tally(outcomes), { unavailable: 20 });
    const direct = await scene.connect();
    assertEquals((await storedIn(direct, store.stream)).length, 1);
  },
);

natsTest("Many batches for a frozen server end by the deadline", async (scene) => {
  await using store = await hasty(scene);
  await scene.server.pause();
  const saves = Array.from(
    { length: 256 },
    (_, at) => attempt(store, fact(`order-${at}`, 1), fact(`stock-${at}`, 1)),
  );
  const [outcomes, ms] = await timed(() => Promise.all(saves));
  scene.server.resume();
  assert(ms < 3 * TIMEOUT, `The last of them ended after ${ms} ms`);
  const { unknown = 0, unavailable = 0 } = tally(outcomes);
  assertEquals(unknown + unavailable, 256);
  assert(unknown > 0 && unavailable > 0, `${unknown} unknown, ${unavailable} unavailable`);
  for (const outcome of outcomes) {
    if (outcome.kind === "unknown") assertEquals(await settled(outcome), "saved");
  }
  const direct = await scene.connect();
  assertTruthful(outcomes, await storedIn(direct, store.stream));
});

natsTest("Reads of a frozen server end by the deadline", async (scene) => {
  await using store = await hasty(scene);
  await scene.server.pause();
  const reads = [store.getEvents("order-1"), store.getLatestVersion("order-1")];
  const [results, ms] = await timed(() => Promise.allSettled<unknown>(reads));
  scene.server.resume();
  for (const result of results) {
    assert(result.status === "rejected" && isAetherError(result.reason, "StoreUnavailableError"));
  }
  assert(ms < 3 * TIMEOUT, `The last of them ended after ${ms} ms`);
  assertEquals(await store.getEvents("order-1"), []);
});
