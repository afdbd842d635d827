import { assert, assertEquals } from "@std/assert";
import { fact, type Outcome, settled } from "../../support/fault.ts";
import {
  actorIn,
  assertFenced,
  claimAll,
  counts,
  fencedBy,
  fencedTest,
  nodeOf,
  tryOne,
  tryToSave,
} from "./bed.ts";
import { natsTest } from "../../support/fixture.ts";
import { seededRandom } from "../../support/proxy.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

fencedTest(
  "Lost acks of groups: each save is stored once, and reported so",
  async (scene, options) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    const direct = await scene.connect();
    await using a = await nodeOf(scene, "a", { connection, timeout: 5_000, ...options });
    await claimAll(a, 1);
    const random = seededRandom(7);
    const meal = proxy.eatAcksWhere(() => random() < 0.3);
    const outcomes: Outcome[] = [];
    await Promise.all([...Array(20).keys()].map(async (actor) => {
      for (let round = 1; round <= (LONG ? 60 : 10); round++) {
        const events = [fact(`order-${actor}`, round)];
        if (round % 3 === 0) {
          events.push(fact(`bill-${actor}`, round), fact(`bill-${actor}`, round + 1));
        }
        outcomes.push(await tryToSave(a.store, events));
      }
    }));
    meal.stop();
    assert(meal.eaten.length > 2, `${meal.eaten.length} acks were eaten`);
    for (const outcome of outcomes) {
      if (outcome.kind === "unknown") assertEquals(await settled(outcome), "saved");
    }
    const { saved = 0, unknown = 0, unavailable = 0, ...others } = counts(outcomes);
    assertEquals(others, {});
    assert(saved > outcomes.length * 0.9, `${saved} saved, ${unknown} unknown, ${unavailable} not`);
    await assertFenced(direct, a.store, outcomes);
  },
);

fencedTest("Any one message of a group lost: saved once, whole", async (scene, options) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const direct = await scene.connect();
  await using a = await nodeOf(scene, "a", { connection, timeout: 3_000, ...options });
  await claimAll(a, 1);
  const outcomes: Outcome[] = [];
  for (const [round, lost] of [1, 2, 20, 39, 40].entries()) {
    const meal = proxy.eatFromClient(
      (frame) => frame.headers?.get("Nats-Batch-Sequence") === String(lost),
      1,
    );
    const saves = [...Array(40).keys()].map((at) =>
      tryOne(a.store, `order-${at % 4}`, 10 * round + Math.floor(at / 4) + 1)
    );
    outcomes.push(...await Promise.all(saves));
    assertEquals(meal.eaten.length, 1);
  }
  assertEquals(counts(outcomes), { saved: 200 });
  await assertFenced(direct, a.store, outcomes);
});

fencedTest(
  "An ack and then the shard are lost: events stored before are reported as saved",
  async (scene, options) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using a = await nodeOf(scene, "a", { connection, timeout: 5_000, ...options });
    await using b = await nodeOf(scene, "b", options);
    const actorId = actorIn(a.store, 0);
    const other = actorIn(a.store, 1);
    const outcomes: Outcome[] = [];
    for (let round = 1; round <= 3; round++) {
      await claimAll(a, 2 * round, [0, 1]);
      // So that both go out together.
      await Promise.all([actorId, other].map((id) => a.store.getLatestVersion(id)));
      const isCommit = round === 2;
      // The ack of a group, or the group itself.
      const meal = isCommit
        ? proxy.eatFromClient((frame) => frame.headers?.has("Nats-Batch-Commit") === true, 1)
        : proxy.eatAcks();
      const saving = Promise.all([tryOne(a.store, actorId, round), tryOne(a.store, other, round)]);
      await meal.done;
      await b.store.claim(0, 2 * round + 1);
      const ended = await saving;
      assertEquals(ended[1]!.kind, "saved");
      if (isCommit) fencedBy(ended[0]!);
      else assertEquals(ended[0]!.kind, "saved");
      outcomes.push(...ended);
    }
    await assertFenced(b.connection, b.store, outcomes);
  },
);

natsTest("A frozen server past the deadline: unknown, and settled truly", async (scene) => {
  await using a = await nodeOf(scene, "a", { timeout: 2_000 });
  await claimAll(a, 1);
  const outcomes: Outcome[] = [];
  const actors = [...Array(10).keys()].map((at) => `order-${at}`);
  for (let round = 1; round <= 2; round++) {
    // So that all of them go out together, on what is really stored.
    await Promise.all(actors.map((id) => a.store.getLatestVersion(id, { fresh: true })));
    await scene.server.pause();
    const saves = [...Array(30).keys()].map((at) =>
      tryOne(a.store, `order-${at % 10}`, round * 10 + 1 + Math.floor(at / 10))
    );
    // Saves that come while the first group is under way are never sent.
    await Promise.resolve();
    const late = [...Array(5).keys()].map((at) => tryOne(a.store, `late-${at}`, round));
    const ended = await Promise.all([...saves, ...late]);
    assertEquals(counts(ended).saved, undefined);
    scene.server.resume();
    for (const outcome of ended) {
      if (outcome.kind === "unknown") assertEquals(await settled(outcome), "saved");
    }
    assertEquals(counts(ended), { unknown: 30, unavailable: 5 });
    outcomes.push(...ended);
    assertEquals((await a.store.getEvents("order-7")).length, 3 * round);
  }
  await assertFenced(a.connection, a.store, outcomes);
});
