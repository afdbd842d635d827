/**
 * Rules whose `evolve` changes the state that it is given, and returns it or throws: whatever ends a
 * command, the next one is decided on what the stored events make.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { FencedEventStore } from "../../../cluster/mod.ts";
import {
  type Decider,
  type Event,
  type EventStore,
  execute,
  executeAll,
  isAetherError,
} from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { both } from "./both.ts";

type Moved = Event<"Moved", { by: number; note?: string }>;
type Account = { balance: number };

const account: Decider<Account, number, Moved> = {
  initialState: () => ({ balance: 0 }),
  evolve: (state, { data: { by } }) => {
    state.balance += by;
    return state;
  },
  decide: (by, { balance }) => {
    if (balance + by < 0) throw new RangeError(`there is only ${balance}`);
    return by === 0 ? [] : { eventType: "Moved", data: { by } };
  },
};

async function stored(store: EventStore, actorId: string): Promise<number> {
  let sum = 0;
  for (const { data } of await store.getEvents<Moved>(actorId)) sum += data.by;
  return sum;
}

/** Asserts that no more can be taken than is stored. */
async function assertTrue(store: EventStore, actorId: string, balance: number): Promise<void> {
  assertEquals(await stored(store, actorId), balance);
  const refused = () => execute(store, actorId, account, -balance - 1);
  await assertRejects(refused, RangeError, `there is only ${balance}`);
  const { state } = await execute(store, actorId, account, -balance);
  assertEquals([state.balance, await stored(store, actorId)], [0, 0]);
}

both("a state that went into a save that failed is not gone on from", async (open) => {
  const store = await open();
  const large: typeof account = {
    ...account,
    decide: (by) => ({ eventType: "Moved", data: { by, note: "x".repeat(2_000_000) } }),
  };
  const part = (actorId: string, by: number, decider = account) => ({
    ...{ actorId, decider, command: by },
  });
  await executeAll(store, [part("a-1", 10), part("b-1", 10)]);
  const saving = () => executeAll(store, [part("a-1", 90), part("b-1", -5, large)]);
  const error = await assertRejects(saving);
  assertEquals(isAetherError(error, "EventTooLargeError"), true);
  await assertTrue(store, "a-1", 10);
  await assertTrue(store, "b-1", 10);
});

const PLAIN = (store: EventStore, by: number, options: object) =>
  execute(store, "a-1", account, by, options);
const JOINT = async (store: EventStore, by: number, options: object) => {
  const [result] = await executeAll(
    store,
    [{ actorId: "a-1", decider: account, command: by }],
    options,
  );
  return result;
};

for (const [how, run] of Object.entries({ execute: PLAIN, executeAll: JOINT })) {
  both(`a command that comes again leaves the state whole, by ${how}`, async (open) => {
    const [one, other] = [await open(), await open()];
    await run(one, 10, {});
    await run(other, 5, { commandId: "c-1" });
    const again = await run(one, 5, { commandId: "c-1" });
    assertEquals([again.duplicate, again.state], [true, { balance: 15 }]);
    await assertTrue(one, "a-1", 15);
  });

  both(`a refused command leaves the state whole, by ${how}`, async (open) => {
    const [one, other] = [await open(), await open()];
    await run(one, 10, {});
    await run(other, 5, {});
    await assertRejects(() => run(one, -16, {}), RangeError, "there is only 15");
    await assertRejects(() => run(one, -16, { commandId: "c-2" }), RangeError, "only 15");
    assertEquals((await run(one, 0, {})).state, { balance: 15 });
    await assertTrue(one, "a-1", 15);
  });
}

both("two parts on one actor read what others have stored once", async (open) => {
  const [one, other] = [await open(), await open()];
  await execute(one, "a-1", account, 10);
  await execute(other, "a-1", account, 5);
  const part = (command: number) => ({ actorId: "a-1", decider: account, command });
  const joint = () => executeAll(one, [part(0), part(-18)], { commandId: "c-1" });
  await assertRejects(joint, RangeError, "there is only 15");
  await assertTrue(one, "a-1", 15);
});

for (const commandId of [undefined, "c-1"]) {
  const how = commandId === undefined ? "without an id" : "with an id";
  both(`evolve that throws halfway leaves no state behind, ${how}`, async (open) => {
    /** Full at 100; a turn empties it if it holds much, and else fills it. */
    const tank: Decider<Account, number | "turn", Moved> = {
      initialState: () => ({ balance: 0 }),
      evolve: (state, { data: { by } }) => {
        state.balance += by;
        if (state.balance > 100) throw new RangeError("over the limit");
        return state;
      },
      decide: (command, { balance }) => {
        const turn = balance > 50 ? -balance : 95;
        return { eventType: "Moved", data: { by: command === "turn" ? turn : command } };
      },
    };
    const [one, other] = [await open(), await open()];
    const options = commandId === undefined ? {} : { commandId };
    await execute(one, "a-1", tank, 10, commandId === undefined ? {} : { commandId: "c-0" });
    await execute(other, "a-1", tank, -10);
    // It is remembered at 10, where 95 more are too much; it is at 0.
    const { state } = await execute(one, "a-1", tank, "turn", options);
    assertEquals([state.balance, await stored(one, "a-1")], [95, 95]);
  });
}

natsTest("views of one store do not share a state that both fold", async (scene) => {
  const { namespace } = scene;
  await using store = await FencedEventStore.open(await scene.connect(), {
    ...{ namespace, nodeId: "one" },
  });
  await store.claim(store.shardOf("a-1"), 1);
  let hold: Promise<void> | undefined;
  const slow: typeof account = {
    ...account,
    decide: async (by, state) => {
      if (by === 100) await hold;
      return account.decide(by, state);
    },
  };
  await execute(store, "a-1", slow, 1);
  for (let round = 1; round <= 20; round++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    hold = promise;
    const held = execute(store.forCommand(`x-${round}`), "a-1", slow, 100);
    await new Promise((resolve) => setTimeout(resolve, 1));
    const quick = execute(store.forCommand(`y-${round}`), "a-1", slow, 10);
    resolve();
    const told = [await quick, await execute(store, "a-1", slow, 0)];
    await held;
    const events = await store.getEvents<Moved>("a-1");
    for (const { state, version } of told) {
      const sum = events.slice(0, version).reduce((sum, { data: { by } }) => sum + by, 0);
      assertEquals(state.balance, sum);
    }
  }
});
