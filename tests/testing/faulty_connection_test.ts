import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { faultyConnection, type FaultyConnectionOptions } from "../../testing/mod.ts";
import { type Event, execute, isAetherError, JetStreamEventStore } from "../../store/mod.ts";
import { add, counter } from "../support/counter.ts";
import {
  assertTruthful,
  attempt,
  fact,
  type Outcome,
  settled,
  storedIn,
  tampered,
  withoutExpectation,
} from "../support/fault.ts";
import { natsTest, type Scene } from "../support/fixture.ts";

const ALL = { loseAck: 0.1, drop: 0.1, double: 0.1, delay: 0.1, cut: 0.02 } as const;

/** Saves through a connection that does harm, in line and side by side, single events and batches. */
async function storm(
  scene: Scene,
  options: FaultyConnectionOptions,
  isGuarded = true,
): Promise<Outcome[]> {
  const { namespace } = scene;
  const connection = await scene.connect();
  const faulty = faultyConnection(
    isGuarded ? connection : tampered(connection, withoutExpectation),
    { only: (subject) => subject.startsWith("aether."), ...options },
  );
  const store = await JetStreamEventStore.open(faulty, { namespace, timeout: 1_500 });
  const outcomes: Outcome[] = [];
  for (let round = 1; round <= 15; round++) {
    const events = [
      [fact("a-1", round)],
      [fact("b-1", 2 * round - 1), fact("b-1", 2 * round)],
      [fact("c-1", round), fact("d-1", round)],
    ] satisfies Event[][];
    const done = await Promise.all(events.map((batch) => attempt(store, ...batch)));
    for (const outcome of done) {
      outcomes.push(outcome);
      if (outcome.kind === "unknown") await settled(outcome);
    }
  }
  faulty.calm();
  assert(faulty.faults.length > 0);
  await store[Symbol.asyncDispose]();
  return outcomes;
}

for (const seed of [1, 2, 3]) {
  natsTest(
    `callers get true outcomes over a faulty connection, seed ${seed}`,
    async (scene) => {
      const outcomes = await storm(scene, { seed, ...ALL });
      assertTruthful(outcomes, await storedIn(await scene.connect(), `AETHER_${scene.namespace}`));
    },
    { leakCheck: false },
  );
}

natsTest(
  "without its guards a store over a faulty connection is not truthful: the control",
  async (scene) => {
    const outcomes = await storm(scene, { seed: 4, loseAck: 0.3, double: 0.3 }, false);
    const connection = await scene.connect();
    const stored = await storedIn(connection, `AETHER_${scene.namespace}`, { guarded: false });
    assertThrows(() => assertTruthful(outcomes, stored));
  },
  { leakCheck: false },
);

natsTest("commands over a faulty connection are each handled once", async (scene) => {
  const { namespace } = scene;
  const faulty = faultyConnection(await scene.connect(), {
    seed: 5,
    ...ALL,
    only: (subject) => subject.startsWith("aether."),
  });
  const store = await JetStreamEventStore.open(faulty, { namespace, timeout: 1_500 });
  let saved = 0;
  for (let count = 0; count < 20; count++) {
    try {
      await execute(store, "a-1", counter, add(`${count}`));
      saved++;
    } catch (error) {
      assert(isAetherError(error), String(error));
    }
  }
  faulty.calm();
  assertEquals((await store.getEvents("a-1")).length, saved);
  await store[Symbol.asyncDispose]();
}, { leakCheck: false });

natsTest("one seed does the same harm to the same messages", async (scene) => {
  const connection = await scene.connect();
  const harm = async (seed: number) => {
    const { cut: _, ...others } = ALL;
    const faulty = faultyConnection(connection, { seed, ...others, maxDelay: 1 });
    for (let at = 0; at < 100; at++) {
      faulty.publish(`test.${at}`);
      if (at % 10 === 0) await new Promise((resolve) => setTimeout(resolve, at % 3));
    }
    await faulty.flush();
    return faulty.faults;
  };
  const first = await harm(7);
  assertEquals(await harm(7), first);
  assert(JSON.stringify(await harm(8)) !== JSON.stringify(first));
  const kinds = new Set(first.map(({ kind }) => kind));
  assertEquals(kinds.size, 4);
});

natsTest("each fault does what its name says, and no more once it is calm", async (scene) => {
  const connection = await scene.connect();
  const seen: string[] = [];
  const sub = connection.subscribe("test.>", {
    callback: (_error, message) => {
      seen.push(message.subject);
      message.respond("yes");
    },
  });
  const ask = (faulty: typeof connection, subject: string) =>
    faulty.request(subject, "", { timeout: 200 }).then((it) => it.string(), (it) => it.name);
  const dropping = faultyConnection(connection, { seed: 1, drop: 1 });
  assertEquals(await ask(dropping, "test.drop"), "TimeoutError");
  const losing = faultyConnection(connection, { seed: 1, loseAck: 1 });
  assertEquals(await ask(losing, "test.lose"), "TimeoutError");
  const doubling = faultyConnection(connection, { seed: 1, double: 1 });
  assertEquals(await ask(doubling, "test.double"), "yes");
  const delaying = faultyConnection(connection, { seed: 1, delay: 1, maxDelay: 50 });
  delaying.publish("test.delay.1");
  delaying.publish("test.delay.2");
  await delaying.flush();
  await connection.flush();
  assertEquals(seen, ["test.lose", "test.double", "test.double", "test.delay.1", "test.delay.2"]);
  dropping.calm();
  assertEquals(await ask(dropping, "test.calm"), "yes");
  sub.unsubscribe();
});

natsTest("close() of a faulty connection lets nothing go, and nothing wait", async (scene) => {
  const faulty = faultyConnection(await scene.connect(), { seed: 1, delay: 1, maxDelay: 60_000 });
  faulty.publish("test.held");
  const asked = faulty.request("test.asked", "", { timeout: 60_000 });
  asked.catch(() => {});
  const flushed = faulty.flush();
  flushed.catch(() => {});
  await faulty.close();
  assert(faulty.isClosed());
  await assertRejects(() => asked);
  await flushed.catch(() => {});
  assertThrows(() => faulty.publish("test.late"));
  await faulty.close();
});

Deno.test("faultyConnection() refuses impossible options", () => {
  const connection = { publish: () => {}, request: () => {} } as never;
  for (
    const wrong of [{ drop: 1.1 }, { loseAck: -1 }, { cut: NaN }, { seed: 0.5 }, { maxDelay: -1 }]
  ) {
    assertThrows(() => faultyConnection(connection, { seed: 1, ...wrong }), RangeError);
  }
});

natsTest("a faulty connection does the harm that the call asked for", async (scene) => {
  const options = { seed: 1, drop: 1, only: (subject: string) => subject === "a" };
  const faulty = faultyConnection(await scene.connect(), options);
  Object.assign(options, { drop: 0, double: 1, only: () => true });
  faulty.publish("a");
  faulty.publish("b");
  assertEquals(faulty.faults.map(({ kind, subject }) => [kind, subject]), [["drop", "a"]]);
});
