import { assert, assertEquals } from "@std/assert";
import {
  type Decider,
  execute,
  InMemorySnapshotStore,
  isAetherError,
  rehydrate,
  type SnapshotStore,
  verify,
  type VerifyEvolution,
} from "../../mod.ts";
import { type Act, once } from "../support/acts.ts";
import { spoil } from "../support/nasty.ts";
import { assertStored, type Bed, DATA, failing, failureOf, type Hooks } from "./bed.ts";

export interface Counter {
  count: number;
  deep: { seen: unknown[] };
}
export type Command = { readonly by: number; readonly why: string[] };

/** Counts, and keeps parts of events. */
export const counter: Decider<Counter, Command> = {
  initialState: () => ({ count: 0, deep: { seen: [] } }),
  evolve: ({ count, deep }, event) => ({
    count: count + (event.data as { n: number }).n,
    deep: { seen: [...deep.seen, (event.data as typeof DATA).list] },
  }),
  decide: () => ({ eventType: "T", data: structuredClone(DATA) }),
};

/** Runs a command with rules that act once; then sound ones have to find what was stored. */
async function decides(bed: Bed, act: Act, rules: Decider<Counter, Command>): Promise<void> {
  const store = await bed.open();
  const command = { by: 1, why: ["because"] };
  await execute(store, "a-1", counter, command);
  const options = act.kind === "hangs" ? { timeout: 30 } : {};
  const failure = await failureOf(execute(store, "a-1", rules, command, options), true);
  // A promise is awaited of decide() alone, and refused elsewhere.
  if (act.kind === "rejects" && rules.decide === counter.decide) {
    assert(failure === undefined || failure.error instanceof TypeError);
  } else if (act.thrown !== undefined && failure !== undefined) {
    assert(Object.is(failure.error, act.thrown.value), "The very value that was thrown");
  }
  assertEquals(command, { by: 1, why: ["because"] }, "The caller's command");
  const stored = failure === undefined ? 2 : 1;
  await assertStored(store, [1, 2].slice(0, stored));
  const { state, events } = await execute(store, "a-1", counter, command);
  assertEquals([state.count, state.deep.seen.length], [stored + 1, stored + 1]);
  spoil(state);
  spoil(events);
  const again = await execute(store, "a-1", counter, command);
  assertEquals(again.state.deep.seen, Array(stored + 2).fill([{ a: 1 }]));
  assertEquals((await rehydrate(store, "a-1", counter)).state, again.state);
}

/** Runs three commands with snapshots: whatever the hooks do, the results are right. */
async function snapshots(
  bed: Bed,
  act: Act,
  kept: SnapshotStore,
  more: { every?: () => boolean; onError?: () => void } = {},
): Promise<void> {
  const store = await bed.open();
  const every = more.every ?? 1;
  const { onError = () => {} } = more;
  const timeout = act.kind === "hangs" ? 1_000 : 10_000;
  const options = { snapshots: { store: kept, schemaVersion: 1, every, onError }, timeout };
  const command = { by: 1, why: [] };
  let stored = 0;
  for (const _time of [1, 2, 3]) {
    const failure = await failureOf(execute(store, "a-1", counter, command, options), true);
    if (failure === undefined) stored++;
    else assert(act.kind === "hangs" && isAetherError(failure.error, "StoreUnavailableError"));
  }
  assert(stored >= 2);
  const { state } = await rehydrate(store, "a-1", counter, {
    snapshots: { store: kept, schemaVersion: 1, onError },
  });
  assertEquals([state.count, state.deep.seen], [stored, Array(stored).fill([{ a: 1 }])]);
}

/** A snapshot store one of whose methods acts at its first call. */
function shelf(act: Act, method: "saveSnapshot" | "getLatestSnapshot"): SnapshotStore {
  const inner = new InMemorySnapshotStore();
  const own: SnapshotStore = {
    saveSnapshot: (snapshot) => inner.saveSnapshot(snapshot),
    getLatestSnapshot: (actorId, query) => inner.getLatestSnapshot(actorId, query),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  const sound = own[method] as (...args: unknown[]) => unknown;
  return Object.assign(own, { [method]: once(act, sound) });
}

/** Verifies a snapshot that is sound: whatever the rules do, there is a report. */
async function verifies(
  bed: Bed,
  change: Partial<VerifyEvolution>,
  mustHold = false,
): Promise<void> {
  const store = await bed.open();
  const kept = new InMemorySnapshotStore();
  const snapshots = { store: kept, schemaVersion: 1, name: "count", every: 1 };
  for (const _time of [1, 2]) {
    await execute(store, "a-1", counter, { by: 1, why: [] }, { snapshots });
  }
  const evolution = { ...counter, ...change };
  const { ok, done, problems } = await verify(store, { snapshots: { ...snapshots, evolution } });
  assert(done);
  assert(ok === (problems.length === 0) && problems.every(({ rule }) => rule === "snapshot"));
  assert(ok || !mustHold);
  assert((await verify(store, { snapshots: { ...snapshots, evolution: counter } })).ok);
}

/** What commands, states and snapshots take from their user. */
export const DECIDERS: Hooks = {
  "Evolution.initialState": async (bed, act) => {
    const store = await bed.open();
    const rules = { ...counter, initialState: once(act, counter.initialState) };
    const failure = await failureOf(rehydrate(store, "a-1", rules), true);
    if (act.kind === "throws") assert(Object.is(failure!.error, act.thrown!.value));
    await decides(bed, act, rules);
  },
  "Evolution.evolve": async (bed, act) => {
    if (act.kind === "spoils") {
      const evolve: typeof counter.evolve = (state, event) => {
        const next = counter.evolve(structuredClone(state), event);
        const own = structuredClone(next);
        spoil(event);
        return own;
      };
      return await decides(bed, act, { ...counter, evolve });
    }
    await decides(bed, act, { ...counter, evolve: once(act, counter.evolve) });
  },
  "Decider.decide": async (bed, act) => {
    const spoils = (command: Command, state: Counter) => {
      act.do(command, state);
      return counter.decide(command, state);
    };
    const decide = act.kind === "spoils" ? spoils : once(act, counter.decide);
    await decides(bed, act, { ...counter, decide });
  },
  "SnapshotPolicy": async (bed, act) => {
    const every = once(act, () => true) as () => boolean;
    await snapshots(bed, act, new InMemorySnapshotStore(), { every });
  },
  "SnapshotOptions.onError": async (bed, act) => {
    const broken = { ...shelf(act, "saveSnapshot"), saveSnapshot: failing };
    await snapshots(bed, act, broken, { onError: once(act, () => {}) });
  },
  "SnapshotStore.saveSnapshot()": (bed, act) => snapshots(bed, act, shelf(act, "saveSnapshot")),
  "SnapshotStore.getLatestSnapshot()": (bed, act) =>
    snapshots(bed, act, shelf(act, "getLatestSnapshot")),
  "VerifyEvolution.initialState": (bed, act) =>
    verifies(bed, { initialState: once(act, counter.initialState) }),
  "VerifyEvolution.evolve": (bed, act) => {
    if (act.kind !== "spoils") return verifies(bed, { evolve: once(act, counter.evolve) });
    const evolve: typeof counter.evolve = (state, event) => {
      const next = structuredClone(counter.evolve(state, event));
      act.do(state, event);
      return next;
    };
    return verifies(bed, { evolve }, true);
  },
};
