import { assert, assertEquals, assertRejects } from "@std/assert";
import { isAetherError, type JetStreamEventStoreOptions } from "../../../store/mod.ts";
import { type Bed, bedOf, isAnswer } from "../save/batch_bed.ts";
import {
  assertSettled,
  attempt,
  fact,
  saveInTurn,
  tally,
  unknownError,
  withoutOp,
} from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { seededRandom } from "../../support/proxy.ts";

/** A store behind a proxy, whose saves have five seconds. */
function bed(
  scene: Scene,
  options: JetStreamEventStoreOptions = {},
  tamper?: Parameters<typeof bedOf>[2],
): Promise<Bed> {
  return bedOf(scene, { timeout: 5_000, ...options }, tamper);
}

natsTest("A save whose ack is eaten is saved once, and is no duplicate", async (scene) => {
  await using lossy = await bed(scene);
  const { proxy, store, check } = lossy;
  const meal = proxy.eatAcks();
  const outcome = await attempt(store, fact("order-1", 1));
  assertEquals(meal.eaten.length, 1);
  assertEquals(outcome.kind, "saved");
  await check([outcome, await attempt(store, fact("order-1", 2))]);
});

natsTest(
  "Control: a save that does not know its own messages takes a lost ack for a duplicate",
  async (scene) => {
    await using lossy = await bed(scene, {}, withoutOp);
    const { proxy, store } = lossy;
    proxy.eatAcks();
    assertEquals((await attempt(store, fact("order-1", 1))).kind, "duplicate");
  },
);

natsTest("A batch whose acks are eaten is saved once, as a whole", async (scene) => {
  await using lossy = await bed(scene);
  const { proxy, store, check } = lossy;
  const meal = proxy.eatAcks();
  const batch = [fact("order-1", 1), fact("stock-1", 1), fact("order-1", 2), fact("stock-2", 7)];
  const outcomes = [await attempt(store, ...batch)];
  assertEquals(meal.eaten.length, 1);
  outcomes.push(await attempt(store, fact("order-1", 3), fact("stock-2", 8)));
  assertEquals(tally(outcomes), { saved: 2 });
  await check(outcomes);
});

natsTest("A batch of which any one message is lost is saved once, as a whole", async (scene) => {
  await using lossy = await bed(scene, { timeout: 2_500 });
  const { proxy, store, isEvent, check } = lossy;
  const outcomes = await Promise.all([0, 1, 2].map(async (lost) => {
    const [a, b, c] = [`a-${lost}`, `b-${lost}`, `c-${lost}`];
    const subject = new RegExp(`\\.${[a, b, c][lost]}$`);
    proxy.eatFromClient((frame) => isEvent(frame) && subject.test(frame.subject), 1);
    return await attempt(store, fact(a, 1), fact(b, 1), fact(c, 1));
  }));
  assertEquals(proxy.dropped.client, 3);
  assertEquals(tally(outcomes), { saved: 3 });
  await check(outcomes);
});

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const SAVES = LONG ? 5_000 : 300;

natsTest(
  `A tenth of the acks of ${SAVES} saves eaten at random: each is saved once`,
  async (scene) => {
    await using lossy = await bed(scene, { timeout: 2_500 });
    const { proxy, store, check } = lossy;
    const random = seededRandom(42);
    const meal = proxy.eatAcksWhere(() => random() < 0.1);
    const outcomes = await saveInTurn(store, SAVES, 50);
    meal.stop();
    assert(meal.eaten.length > SAVES / 20, `${meal.eaten.length} acks were eaten`);
    assertEquals(tally(outcomes), { saved: SAVES });
    await check(outcomes);
  },
);

natsTest(
  "A tenth of all messages lost in both directions: all reports are true",
  async (scene) => {
    await using lossy = await bed(scene, { timeout: 2_000 });
    const { proxy, store, check } = lossy;
    const meal = proxy.dropRandomly(0.1, seededRandom(7));
    const outcomes = await saveInTurn(store, SAVES, 60);
    meal.stop();
    assert(meal.eaten.length > SAVES / 20, `${meal.eaten.length} messages were eaten`);
    const { saved = 0, conflict = 0 } = tally(outcomes);
    assert(saved > SAVES * 0.8, `${saved} were saved`);
    assertEquals(conflict, 0);
    await check(outcomes);
    await assertSettled(store, outcomes);
  },
);

natsTest(
  "With all answers eaten the outcome is unknown, and settle() says saved",
  async (scene) => {
    await using lossy = await bed(scene, { timeout: 1_000 });
    const { proxy, store, check } = lossy;
    const meal = proxy.eatFromServer(isAnswer);
    const event = fact("order-1", 1);
    const batch = [fact("order-2", 1), fact("order-3", 1)];
    const outcomes = await Promise.all([attempt(store, event), attempt(store, ...batch)]);
    meal.stop();
    for (const outcome of outcomes) assertEquals(await unknownError(outcome).settle(), "saved");
    await check(outcomes);
    assertEquals((await attempt(store, event)).kind, "duplicate");
    assertEquals((await attempt(store, ...batch)).kind, "duplicate");
  },
);

natsTest("A save whose publish is lost is sent again and saved once", async (scene) => {
  await using lossy = await bed(scene);
  const { proxy, store, isEvent, check } = lossy;
  const meal = proxy.eatFromClient(isEvent, 1);
  const outcome = await attempt(store, fact("order-1", 1));
  assertEquals(meal.eaten.length, 1);
  assertEquals(outcome.kind, "saved");
  await check([outcome]);
});

natsTest(
  "A publish lost for the whole deadline: settle() returns not-saved, until it is saved again",
  async (scene) => {
    await using lossy = await bed(scene, { timeout: 1_000 });
    const { proxy, store, isEvent, check } = lossy;
    const meal = proxy.eatFromClient(isEvent);
    const event = fact("order-1", 1);
    const batch = [fact("order-2", 1), fact("order-3", 1)];
    const outcomes = await Promise.all([attempt(store, event), attempt(store, ...batch)]);
    const errors = outcomes.map(unknownError);
    const unanswered = await assertRejects(() => errors[0]!.settle());
    assert(isAetherError(unanswered, "StoreUnavailableError"));
    meal.stop();
    for (const error of errors) assertEquals(await error.settle(), "not-saved");
    assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 0);
    const again = [await attempt(store, event), await attempt(store, ...batch)];
    assertEquals(tally(again), { saved: 2 });
    for (const error of errors) assertEquals(await error.settle(), "saved");
    await check(again);
  },
);

natsTest("A conflict is reported although its answer is eaten", async (scene) => {
  await using lossy = await bed(scene);
  const { proxy, store, other, check } = lossy;
  const outcomes = [await attempt(store, fact("order-1", 1))];
  outcomes.push(await attempt(other, fact("order-1", 2)));
  const meal = proxy.eatFromServer(isAnswer, 1);
  outcomes.push(await attempt(store, fact("order-1", 2)));
  assertEquals(meal.eaten.length, 1);
  assertEquals(tally(outcomes), { saved: 2, conflict: 1 });
  await check(outcomes);
});

natsTest("Reading back is retried when its own answers are lost", async (scene) => {
  await using lossy = await bed(scene);
  const { proxy, store, check } = lossy;
  const meal = proxy.eatFromServer(isAnswer, 2);
  const outcome = await attempt(store, fact("order-1", 1));
  assertEquals(meal.eaten.length, 2);
  assertEquals(outcome.kind, "saved");
  await check([outcome]);
});
