/**
 * Independent calls of `executeAll` whose saves go out together: each keeps its own outcome.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type Decider,
  type Event,
  type EventStore,
  execute,
  executeAll,
  isAetherError,
  JetStreamEventStore,
  rehydrate,
} from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { both } from "./both.ts";

type Moved = Event<"Moved", number>;

const account: Decider<number, number, Moved> = {
  initialState: () => 0,
  evolve: (balance, { data }) => balance + data,
  decide: (by, balance) => {
    if (balance + by < 0) throw new RangeError(`there is only ${balance}`);
    return { eventType: "Moved", data: by };
  },
};

const transfer = (number: number, by = 1) => [
  { actorId: `from-${number}`, decider: account, command: 0 - by },
  { actorId: `to-${number}`, decider: account, command: by },
];

const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);

/** Counts the saves of a store from here on. */
function counted(store: EventStore): { saves: number } {
  const counts = { saves: 0 };
  const saveEvents = store.saveEvents.bind(store);
  store.saveEvents = (...save) => {
    counts.saves++;
    return saveEvents(...save);
  };
  return counts;
}

async function balance(store: EventStore, actorId: string): Promise<number> {
  return (await rehydrate(store, actorId, account)).state;
}

both("calls on several actors that come at once are saved together", async (open) => {
  const store = await open();
  for (const at of numbers(50)) await execute(store, `from-${at}`, account, 10);
  const counts = counted(store);
  const all = await Promise.all(numbers(50).map((at) => executeAll(store, transfer(at, at % 7))));
  assert(counts.saves < 25, `${counts.saves} saves`);
  const stored = await Array.fromAsync(store.readAll());
  for (const [at, [from, to]] of all.entries()) {
    assertEquals([from!.state, to!.state], [10 - at % 7, at % 7]);
    for (const { events, sequence } of [from!, to!]) {
      assertEquals(stored.find((event) => event.sequence === sequence)?.id, events[0]!.id);
    }
  }
  const commits = stored.slice(-100).map(({ commit }) => commit);
  assertEquals(commits.map(({ index, count }) => [index, count]).slice(0, 4), [
    ...[[0, 2], [1, 2], [0, 2], [1, 2]],
  ]);
  assertEquals(new Set(commits.map(({ op }) => op)).size, 50);
});

both("one that is refused, or meets a conflict, takes no other with it", async (open) => {
  const [store, other] = [await open(), await open()];
  for (const at of numbers(20)) await execute(store, `from-${at}`, account, 10);
  await Promise.all(numbers(20).map((at) => executeAll(store, transfer(at))));
  // What is known of these is old.
  for (const at of [3, 11]) await execute(other, `from-${at}`, account, -9);
  const ends = await Promise.all(
    numbers(20).map((at) =>
      executeAll(store, transfer(at, at === 3 ? 0 : 5))
        .then(([from]) => from!.state, (error) => String(error))
    ),
  );
  const expected = numbers(20).map((at): unknown => at === 3 ? 0 : 4);
  expected[11] = "RangeError: there is only 0";
  assertEquals(ends, expected);
  assertEquals(await balance(other, "to-11"), 1);
});

both("an impossible event among them is refused alone", async (open) => {
  const store = await open();
  const broken: Decider<null, null> = {
    ...{ initialState: () => null, evolve: () => null },
    decide: () => ({ eventType: "Moved", data: 1n }),
  };
  const parts = (at: number) =>
    at === 4
      ? [{ actorId: "broken-1", decider: broken, command: null }, ...transfer(at, 0)]
      : transfer(at, 0);
  const ends = await Promise.all(
    numbers(10).map((at) =>
      executeAll(store, parts(at)).then(() => "saved", (error) => error.code)
    ),
  );
  const expected = numbers(10).map((at) => at === 4 ? "InvalidEventError" : "saved");
  assertEquals(ends, expected);
});

both("one whose time is over while it waits saves nothing", async (open) => {
  const store = await open();
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const saveEvents = store.saveEvents.bind(store);
  store.saveEvents = async (...save) => {
    begun.resolve();
    await gate.promise;
    return await saveEvents(...save);
  };
  const first = executeAll(store, transfer(0, 0));
  await begun.promise;
  const late = executeAll(store, transfer(1, 0), { timeout: 30 }).catch((error) => error);
  const stop = new AbortController();
  const aborted = executeAll(store, transfer(2, 0), { signal: stop.signal }).catch((error) =>
    error
  );
  const patient = executeAll(store, transfer(3, 0));
  await new Promise((resolve) => setTimeout(resolve, 50));
  stop.abort(new Error("enough"));
  gate.resolve();
  assert(isAetherError(await late, "StoreUnavailableError"));
  assertEquals((await aborted).message, "enough");
  await Promise.all([first, patient]);
  const actors = (await Array.fromAsync(store.readAll())).map(({ actorId }) => actorId);
  assertEquals(actors, ["from-0", "to-0", "from-3", "to-3"]);
});

natsTest("their events are there once when acks are lost, at the positions told", async (scene) => {
  const { namespace } = scene;
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 2_000 });
  for (const at of numbers(30)) await execute(store, `from-${at}`, account, 100);
  const meal = proxy.eatAcks(3);
  const all: { events: readonly Event[]; sequence: number }[] = [];
  for (let round = 0; round < 3; round++) {
    const results = await Promise.all(numbers(30).map((at) => executeAll(store, transfer(at))));
    all.push(...results.flat());
  }
  await meal.done;
  const stored = await Array.fromAsync(store.readAll());
  assertEquals(stored.length, 30 + all.length);
  for (const { events, sequence } of all) {
    assertEquals(stored.find((event) => event.sequence === sequence)?.id, events[0]!.id);
  }
});
