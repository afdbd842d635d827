/**
 * Commands on several actors together, on memory and on JetStream.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  appendEvents,
  type Decider,
  type Event,
  type EventStore,
  execute,
  executeAll,
  isAetherError,
  rehydrate,
} from "../../../mod.ts";
import { both } from "./both.ts";

type Moved = Event<"Moved", { by: number }>;

const account: Decider<number, number, Moved> = {
  initialState: () => 0,
  evolve: (balance, { data: { by } }) => balance + by,
  decide: (by, balance) => {
    if (balance + by < 0) throw new RangeError(`there is only ${balance}`);
    return by === 0 ? [] : { eventType: "Moved", data: { by } };
  },
};

const part = (actorId: string, command: number) => ({ actorId, decider: account, command });

async function balance(store: EventStore, actorId: string): Promise<number> {
  return (await rehydrate(store, actorId, account)).state;
}

both("commands on several actors are saved all or none, in one commit", async (open) => {
  const store = await open();
  const [a, b] = await executeAll(store, [part("a-1", 100), part("b-1", 5)]);
  assertEquals([a.state, b.state, a.version, b.version], [100, 5, 1, 1]);
  await assertRejects(() => executeAll(store, [part("b-1", 50), part("a-1", -101)]), RangeError);
  assertEquals([await balance(store, "a-1"), await balance(store, "b-1")], [100, 5]);
  const results = await executeAll(store, [part("a-1", -30), part("b-1", 30), part("a-1", 1)]);
  assertEquals(results.map(({ state, version }) => [state, version]), [[70, 2], [35, 2], [71, 3]]);
  const all = await Array.fromAsync(store.readAll());
  assertEquals(
    results.map(({ sequence }) => sequence),
    all.slice(2).map(({ sequence }) => sequence),
  );
  const commits = all.map(({ commit: { index, count } }) => [index, count]);
  assertEquals(commits, [[0, 2], [1, 2], [0, 3], [1, 3], [2, 3]]);
  assertEquals(new Set(all.map(({ commit }) => commit.op)).size, 2);
});

both("an actor that is only read is a guard", async (open) => {
  const [one, other] = [await open(), await open()];
  await execute(one, "limit-1", account, 10);
  const lowered = { eventType: "Moved", data: { by: -5 } } as const;
  let decided = 0;
  const late: Decider<number, number, Moved> = {
    ...account,
    decide: async (by, limit) => {
      // Another writer changes the limit after it was read for the first time.
      if (decided++ === 0) await appendEvents<Moved>(other, "limit-1", 1, [lowered]);
      if (by > limit) throw new RangeError(`the limit is ${limit}`);
      return [];
    },
  };
  await assertRejects(
    () => executeAll(one, [{ actorId: "limit-1", decider: late, command: 8 }, part("a-1", 8)]),
    RangeError,
    "the limit is 5",
  );
  assertEquals(await balance(one, "a-1"), 0);
});

both("16 calls at once on one hot actor and many cold ones: none refused", async (open) => {
  const stores = [await open(), await open()];
  for (let round = 0; round < 4; round++) {
    await Promise.all(Array.from({ length: 16 }, (_, at) => {
      const parts = [part(`cold-${round}-${at}`, 1), part("hot-1", 1)];
      return executeAll(stores[at % 2]!, at % 3 === 0 ? parts.toReversed() : parts);
    }));
    await Promise.all([
      execute(stores[0]!, "hot-1", account, 1),
      execute(stores[1]!, "hot-1", account, 1),
    ]);
  }
  assertEquals(await balance(stores[0]!, "hot-1"), 4 * 18);
});

both("the same command on several actors again gets the first one's results", async (open) => {
  const store = await open();
  const parts = [part("a-1", 10), part("b-1", 0), part("c-1", 3)] as const;
  const first = await executeAll(store, parts, { commandId: "t-1" });
  await executeAll(store, [part("a-1", 1), part("c-1", 1)]);
  for (const again of [store, await open()]) {
    const results = await executeAll(again, parts, { commandId: "t-1" });
    assertEquals(results.map(({ duplicate }) => duplicate), [true, true, true]);
    assertEquals(results.map(({ state }) => state), [10, 0, 3]);
    assertEquals(results.map(({ sequence }) => sequence), first.map(({ sequence }) => sequence));
  }
  assertEquals(await balance(store, "a-1"), 11);
  const tries = await Promise.all(
    [store, await open(), await open()].map((each) =>
      executeAll(each, parts, { commandId: "t-2" })
    ),
  );
  assertEquals(new Set(tries.map(([{ version }]) => version)).size, 1);
  assertEquals(await balance(store, "a-1"), 21);
});

both(
  "a process that remembers one actor of old gets a repeated command's results",
  async (open) => {
    const [store, other] = [await open(), await open()];
    for (const actorId of ["a-1", "b-1"]) {
      await execute(other, actorId, account, 1, { commandId: `${actorId}-first` });
      const parts = [part("a-1", 10), part("b-1", 3)] as const;
      const options = { commandId: `t-${actorId}` };
      const first = await executeAll(store, parts, options);
      const again = await executeAll(other, parts, options);
      const whole = (results: readonly (typeof first)[number][]) =>
        results.map(({ state, version, events, sequence }) => [
          ...[state, version, sequence],
          ...events.map(({ id }) => id),
        ]);
      assertEquals(whole(again), whole(first));
    }
  },
);

both("no parts and impossible ids are refused", async (open) => {
  const store = await open();
  await assertRejects(() => executeAll(store, []), RangeError);
  await assertRejects(() => executeAll(store, [part("", 1)]));
  const error = await assertRejects(() =>
    executeAll(store, [part("a-1", 1)], { signal: AbortSignal.abort(new Error("no")) })
  );
  assert(!isAetherError(error), String(error));
  assertEquals(await Array.fromAsync(store.listActors()), []);
});
