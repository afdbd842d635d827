import { assert, assertEquals } from "@std/assert";
import { execute, executeAll } from "../../../store/mod.ts";
import { counter, type CounterCommand } from "../../support/counter.ts";
import {
  assertSettled,
  attempt,
  fact,
  facts,
  type Outcome,
  saveInTurn,
  settled,
  tally,
  unknownError,
} from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { seededRandom } from "../../support/proxy.ts";
import { type Bed, bedOf, isAnswer } from "./batch_bed.ts";

/** A store that lets saves share commits, behind a proxy that counts its messages. */
async function bed(
  scene: Scene,
  timeout = 10_000,
): Promise<Bed & { readonly batches: string[]; readonly singles: string[] }> {
  const own = await bedOf(scene, { groupCommit: true, timeout });
  const batches: string[] = [];
  const singles: string[] = [];
  own.proxy.eatFromClient((frame) => {
    if (frame.headers?.has("Nats-Batch-Commit")) batches.push(frame.subject);
    else if (own.isEvent(frame) && !frame.headers?.has("Nats-Batch-Id")) {
      singles.push(frame.subject);
    }
    return false;
  });
  return Object.assign(own, { batches, singles });
}

natsTest("Saves of 64 actors at once share one commit; each gets its own place", async (scene) => {
  await using shared = await bed(scene);
  const { store, batches, singles, check } = shared;
  const outcomes = await Promise.all(
    Array.from({ length: 64 }, (_, at) => attempt(store, ...facts(`order-${at}`, 1, 1 + at % 3))),
  );
  assertEquals(tally(outcomes), { saved: 64 });
  assertEquals([batches.length, singles.length], [1, 0]);
  await check(outcomes);
  const places = new Map<string, number>();
  for await (const { id, sequence } of store.readAll()) places.set(id, sequence);
  for (const { events, sequence } of outcomes) {
    const { length } = await store.getEvents(events[0]!.actorId);
    assertEquals([length, places.get(events.at(-1)!.id)], [events.length, sequence]);
  }
});

natsTest("Control: without the option, each save is a message of its own", async (scene) => {
  await using plain = await bedOf(scene);
  const { proxy, store, isEvent } = plain;
  let batched = 0;
  proxy.eatFromClient((frame) => {
    if (isEvent(frame) && frame.headers?.has("Nats-Batch-Id")) batched++;
    return false;
  });
  await Promise.all(Array.from({ length: 64 }, (_, at) => attempt(store, fact(`order-${at}`, 1))));
  assertEquals(batched, 0);
});

natsTest("A save that conflicts fails alone, whoever shares its commit", async (scene) => {
  await using shared = await bed(scene);
  const { store, other, check } = shared;
  const outcomes = [await attempt(store, fact("order-3", 1)), await attempt(store, fact("a", 1))];
  outcomes.push(await attempt(other, fact("order-3", 2))); // behind the back of the store's cache
  const again = outcomes[1]!.events;
  outcomes.push(
    ...await Promise.all([
      ...Array.from(
        { length: 9 },
        (_, at) => attempt(store, fact(`order-${at}`, at === 3 ? 2 : 1)),
      ),
      attempt(store, ...again),
    ]),
  );
  assertEquals(tally(outcomes), { saved: 11, conflict: 1, duplicate: 1 });
  assertEquals(outcomes[6]!.kind, "conflict");
  await check(outcomes);
});

natsTest("Saves with a guard, of several actors or with a signal go beside", async (scene) => {
  await using shared = await bed(scene);
  const { store, check } = shared;
  const outcomes: Outcome[] = [];
  const { signal } = new AbortController();
  const save = async (events: ReturnType<typeof fact>[], options = {}): Promise<void> => {
    const { sequence } = await store.saveEvents(events, options);
    outcomes.push({ kind: "saved", events, sequence });
  };
  await Promise.all([
    save([fact("a", 1)]),
    save([fact("b", 1)], { expect: [{ actorId: "stock", version: 0 }] }),
    save([fact("c", 1), fact("d", 1)]),
    save([fact("e", 1)], { signal }),
    save([fact("f", 1)], { expect: [{ actorId: "f", version: 0 }] }),
    save([fact("a", 2)]),
  ]);
  await check(outcomes);
});

natsTest("Commands, their receipts and joint ones share commits", async (scene) => {
  await using shared = await bed(scene);
  const { store, batches } = shared;
  const run = (at: number, command: CounterCommand) =>
    execute(store, `counter-${at % 16}`, counter, command, {
      commandId: `command-${at}`,
      record: true,
    });
  const all = await Promise.all(
    Array.from(
      { length: 32 },
      (_, at) => run(at, at % 4 === 0 ? { type: "look" } : { type: "add", by: at }),
    ),
  );
  assertEquals(all.flatMap(({ events }) => events).length, 24);
  assert(batches.length < 16, `${batches.length} batches`);
  await Promise.all([0, 1, 2].map((at) =>
    executeAll(
      store,
      [at, at + 1].map((to) => ({
        actorId: `counter-${to}`,
        decider: counter,
        command: { type: "add", by: 1 } as const,
      })),
    )
  ));
  for (let at = 0; at < 32; at++) {
    const { duplicate, events } = await run(at, { type: "add", by: 100 });
    assertEquals([duplicate, events.length], [true, at % 4 === 0 ? 0 : 1]);
  }
});

natsTest("A third of the acks of shared commits eaten: each save is stored once", async (scene) => {
  await using shared = await bed(scene, 5_000);
  const { proxy, store, check } = shared;
  const random = seededRandom(42);
  const meal = proxy.eatAcksWhere(() => random() < 1 / 3);
  const outcomes = await saveInTurn(store, 600, 60);
  meal.stop();
  assert(meal.eaten.length > 0, "no ack was eaten");
  assertEquals(tally(outcomes), { saved: 600 });
  await check(outcomes);
});

natsTest(
  "Messages lost in both directions: every report of a shared commit is true",
  async (scene) => {
    await using shared = await bed(scene, 2_000);
    const { proxy, store, check } = shared;
    const meal = proxy.dropRandomly(0.02, seededRandom(7));
    const outcomes = await saveInTurn(store, 300, 60);
    meal.stop();
    assert(meal.eaten.length > 0, "no message was eaten");
    assertEquals(tally(outcomes)["conflict"] ?? 0, 0);
    await check(outcomes);
    await assertSettled(store, outcomes);
  },
);

natsTest(
  "Without any answer each save of a commit is unknown, and settles to saved",
  async (scene) => {
    await using shared = await bed(scene, 1_000);
    const { proxy, store, check } = shared;
    const meal = proxy.eatFromServer(isAnswer);
    const outcomes = await Promise.all(
      [1, 2, 3].map((at) => attempt(store, fact(`order-${at}`, 1))),
    );
    meal.stop();
    for (const outcome of outcomes) {
      const error = unknownError(outcome);
      assertEquals(error.actorId, outcome.events[0]!.actorId);
      assertEquals(await error.settle(), "saved");
    }
    await check(outcomes);
  },
);

natsTest(
  "Saves that cannot be stored settle to not saved, each by its own events",
  async (scene) => {
    await using shared = await bed(scene, 1_000);
    const { proxy, store, other, isEvent } = shared;
    const meal = proxy.eatFromClient(isEvent);
    const outcomes = await Promise.all([1, 2].map((at) => attempt(store, fact(`order-${at}`, 1))));
    meal.stop();
    await other.saveEvents(outcomes[0]!.events);
    assertEquals(await settled(outcomes[0]!), "saved");
    assertEquals(await settled(outcomes[1]!), "not-saved");
  },
);

natsTest("Saves of one actor in one message settle each by its own events, too", async (scene) => {
  await using plain = await bedOf(scene, { timeout: 1_000 });
  const { proxy, store, other, isEvent } = plain;
  const isGroup = (counts = "") => counts.includes(" ");
  const meal = proxy.eatFromClient((frame) =>
    isEvent(frame) && isGroup(frame.headers?.get("Aether-Count"))
  );
  const outcomes = await Promise.all(
    [1, 2, 3].map((version) => attempt(store, fact("order-1", version))),
  );
  meal.stop();
  assert(meal.eaten.length > 0, "no group was eaten");
  assertEquals(tally(outcomes), { saved: 1, unknown: 2 });
  await other.saveEvents(outcomes[1]!.events);
  assertEquals(await settled(outcomes[1]!), "saved");
  assertEquals(await settled(outcomes[2]!), "not-saved");
});
