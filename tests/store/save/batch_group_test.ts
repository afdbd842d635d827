import { assert, assertEquals, assertThrows } from "@std/assert";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { bedOf } from "./batch_bed.ts";
import {
  assertTruthful,
  attempt,
  fact,
  type Outcome,
  settled,
  storedIn,
  tally,
  tampered,
  withoutExpectation,
  withoutOp,
} from "../../support/fault.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { assertGuarded } from "./guard_check.ts";
import { hammer } from "./batch_hammer.ts";
import { seededRandom } from "../../support/proxy.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

/** Saves versions `from` to `to` of one actor, all at once. */
function queue(
  store: JetStreamEventStore,
  actorId: string,
  from: number,
  to: number,
): Promise<Outcome>[] {
  return Array.from({ length: to - from + 1 }, (_, at) => attempt(store, fact(actorId, from + at)));
}

natsTest("Each save of a group gets its unknown outcome, and settles truly", async (scene) => {
  await using bed = await bedOf(scene, { timeout: 800 });
  const { proxy, store, isEvent, check } = bed;
  const outcomes: Outcome[] = [];
  for (const lost of ["ack", "event"] as const) {
    const actorId = `order-${lost}`;
    const save = queue(store, actorId, 1, 50);
    outcomes.push(await save[0]!);
    // The first is through, and the group is next.
    const meal = lost === "ack"
      ? proxy.eatFromServer((frame) => frame.verb.endsWith("MSG"))
      : proxy.eatFromClient(isEvent);
    const group = await Promise.all(save.slice(1));
    meal.stop();
    // They are one message, so there is one answer, or one message sent again and again.
    if (lost === "event") {
      assert(
        meal.eaten.every((frame) => frame.headers!.get("Aether-Sizes")?.split(" ").length === 49),
      );
    }
    assertEquals(tally(group), { unknown: 49 });
    for (const outcome of group) {
      assertEquals(await settled(outcome), lost === "ack" ? "saved" : "not-saved");
      const { actorId, version } = outcome.error as { actorId: string; version: number };
      assertEquals([actorId, version], [outcome.events[0]!.actorId, outcome.events[0]!.version]);
    }
    outcomes.push(...group);
    const again = await Promise.all(group.map(({ events }) => attempt(store, ...events)));
    assertEquals(tally(again), lost === "ack" ? { duplicate: 49 } : { saved: 49 });
    if (lost === "event") outcomes.splice(-49, 49, ...again);
  }
  await check(outcomes);
});

natsTest("A group whose first deadline passes leaves the later ones their time", async (scene) => {
  await using bed = await bedOf(scene, { timeout: 1_000 });
  const { store, check } = bed;
  const outcomes = [await attempt(store, fact("order-1", 1))];
  await scene.server.pause();
  const start = performance.now();
  const early = queue(store, "order-1", 2, 60);
  while (performance.now() - start < 700) await new Promise((resolve) => setTimeout(resolve));
  const late = queue(store, "order-1", 61, 120);
  outcomes.push(...await Promise.all(early));
  scene.server.resume();
  outcomes.push(...await Promise.all(late));
  assertEquals(tally(outcomes), { saved: 61, unknown: 1, unavailable: 58 });
  await check(outcomes);
});

/** Checks the reports, the dependencies, and the settled outcome of unknown saves. */
async function examine(
  scene: Scene,
  stream: string,
  saves: Awaited<ReturnType<typeof hammer>>,
): Promise<number> {
  const outcomes = saves.map(({ outcome }) => outcome);
  const fates = new Map<Outcome, string>();
  for (const outcome of outcomes) {
    if (outcome.kind === "unknown") fates.set(outcome, await settled(outcome));
  }
  const stored = await storedIn(await scene.connect(), stream);
  assertTruthful(outcomes, stored);
  const ids = new Set(stored.map(({ id }) => id));
  for (const [{ events }, outcome] of fates) {
    assertEquals(outcome, ids.has(events[0]!.id) ? "saved" : "not-saved");
  }
  return assertGuarded(saves, stored);
}

const ROUNDS = LONG ? 60 : 8;

natsTest("Two stores hammer the same actors with queues: all reports are true", async (scene) => {
  const { namespace } = scene;
  const stores: JetStreamEventStore[] = [];
  for (let at = 0; at < 2; at++) {
    stores.push(await JetStreamEventStore.open(await scene.connect(), { namespace }));
  }
  const saves = await hammer(stores, {
    rounds: ROUNDS,
    mixed: false,
    random: Math.random,
    actors: 1,
    length: 60,
  });
  saves.push(...await hammer(stores, { rounds: ROUNDS, random: Math.random }));
  const { saved = 0, conflict = 0 } = tally(saves.map(({ outcome }) => outcome));
  assert(saved > 0 && conflict > 0, `${saved} saved, ${conflict} in conflict`);
  await examine(scene, stores[0]!.stream, saves);
  for (const store of stores) await store[Symbol.asyncDispose]();
});

clusterTest("The same on replicas, from all servers", async (scene) => {
  const { namespace } = scene;
  const stores: JetStreamEventStore[] = [];
  for (const { url } of scene.servers) {
    const connection = await scene.connect({ servers: url });
    stores.push(await JetStreamEventStore.open(connection, { namespace, replicas: 3 }));
  }
  const saves = await hammer(stores, { rounds: ROUNDS, random: Math.random, actors: 3 });
  const { saved = 0, conflict = 0 } = tally(saves.map(({ outcome }) => outcome));
  assert(saved > 0 && conflict > 0, `${saved} saved, ${conflict} in conflict`);
  await examine(scene, stores[0]!.stream, saves);
  for (const store of stores) await store[Symbol.asyncDispose]();
});

natsTest("The same while one in 25 messages is lost", async (scene) => {
  await using bed = await bedOf(scene, { timeout: 1_500 });
  const { proxy, store, other } = bed;
  const meal = proxy.dropRandomly(0.04, seededRandom(11));
  const rounds = ROUNDS / 4;
  const { random } = Math;
  const saves = await hammer([store, other], {
    rounds,
    random,
    actors: 1,
    length: 60,
    mixed: false,
  });
  saves.push(...await hammer([store, other], { rounds, random, actors: 3 }));
  meal.stop();
  const kinds = tally(saves.map(({ outcome }) => outcome));
  assert(kinds.saved! > 0, JSON.stringify(kinds));
  await examine(scene, store.stream, saves);
});

natsTest("Control: without the expected sequences queues overwrite each other", async (scene) => {
  const { namespace } = scene;
  const stores: JetStreamEventStore[] = [];
  for (let at = 0; at < 2; at++) {
    const connection = tampered(await scene.connect(), withoutExpectation);
    stores.push(await JetStreamEventStore.open(connection, { namespace }));
  }
  const { random } = Math;
  const saves = await hammer(stores, { rounds: 4, random, actors: 1, length: 60, mixed: false });
  const outcomes = saves.map(({ outcome }) => outcome);
  const stored = await storedIn(await scene.connect(), stores[0]!.stream, { guarded: false });
  assertThrows(() => assertTruthful(outcomes, stored));
  for (const store of stores) await store[Symbol.asyncDispose]();
});

natsTest(
  "Control: a group that does not know its own messages takes the stream for another",
  async (scene) => {
    await using bed = await bedOf(scene, { timeout: 1_500 }, withoutOp);
    const { proxy, store } = bed;
    const saves = queue(store, "order-1", 1, 60);
    await saves[0];
    const meal = proxy.eatAcks();
    const outcomes = await Promise.allSettled(saves);
    assertEquals(meal.eaten.length, 1);
    const [first, ...rest] = outcomes;
    assertEquals(first!.status, "fulfilled");
    for (const outcome of rest) {
      assert(outcome.status === "rejected");
      assert(isAetherError(outcome.reason, "StreamRegressedError"), String(outcome.reason));
    }
  },
);
