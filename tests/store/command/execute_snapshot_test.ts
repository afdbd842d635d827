import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Decider,
  type EventStore,
  execute,
  InMemoryEventStore,
  InMemorySnapshotStore,
  JetStreamSnapshotStore,
  rehydrate,
  type SnapshotStore,
  StoreUnavailableError,
} from "../../../store/mod.ts";
import { add, type Counter, counter } from "../../support/counter.ts";
import { storeTest } from "../../support/stores.ts";
import { Shelf } from "./shelf.ts";
import { ACTOR, Spied } from "./execute_bed.ts";

Deno.test("snapshots are taken as the policy says, and used", async () => {
  await using store = new Spied();
  const shelf = new Shelf();
  const snapshots = { store: shelf, name: "counter", schemaVersion: 1, every: 10 };
  for (let count = 0; count < 25; count++) {
    await execute(store, ACTOR, counter, add(""), { snapshots });
  }
  assertEquals(shelf.saved.map(({ version, state }) => [version, (state as Counter).total]), [
    [10, 10],
    [20, 20],
  ]);
  let folded = 0;
  const evolve: typeof counter.evolve = (...args) => {
    folded++;
    return counter.evolve(...args);
  };
  const { version } = await execute(store, ACTOR, { ...counter, evolve }, add(""), { snapshots });
  assertEquals([version, folded], [26, 6]);
});

Deno.test("a snapshot of a group is of its last event", async () => {
  await using store = new InMemoryEventStore();
  await using shelf = new InMemorySnapshotStore();
  const snapshots = { store: shelf, name: "counter", schemaVersion: 1, every: 1 };
  await Promise.all(
    Array.from({ length: 100 }, () => execute(store, ACTOR, counter, add(""), { snapshots })),
  );
  const snapshot = await shelf.getLatestSnapshot<Counter>(ACTOR, {
    name: "counter",
    schemaVersion: 1,
  });
  assertEquals([snapshot?.version, snapshot?.state.total], [100, 100]);
});

Deno.test("a snapshot that fails never fails the command, and is reported", async () => {
  await using store = new InMemoryEventStore();
  const shelf = new Shelf();
  const broken = new Error("broken");
  shelf.beforeSave = () => Promise.reject(broken);
  const reports: unknown[] = [];
  const onError = (error: unknown, actorId: string) => {
    reports.push([error, actorId]);
  };
  const snapshots = { store: shelf, name: "counter", schemaVersion: 1, every: 1, onError };
  assertEquals((await execute(store, ACTOR, counter, add(""), { snapshots })).version, 1);
  const isDue = () => {
    throw broken;
  };
  await execute(store, ACTOR, counter, add(""), { snapshots: { ...snapshots, every: isDue } });
  assertEquals(reports, [[broken, ACTOR], [broken, ACTOR]]);
});

Deno.test("a snapshot that never ends ends with the command's deadline", async () => {
  await using store = new InMemoryEventStore();
  const shelf = new Shelf();
  shelf.beforeSave = () => new Promise(() => {});
  const snapshots = { store: shelf, name: "counter", schemaVersion: 1, every: 1 };
  const options = { snapshots, timeout: 1_000 };
  const slow = execute(store, ACTOR, counter, add("first"), options);
  // The next one does not wait for it.
  await execute(store, ACTOR, counter, add("second"));
  assertEquals((await slow).version, 1);
});

Deno.test("a snapshot store that never answers a repeated command holds up no other one", async () => {
  await using store = new InMemoryEventStore();
  const shelf = new Shelf();
  const snapshots = { store: shelf, name: "counter", schemaVersion: 1 };
  const first = { commandId: "c-1", snapshots };
  await execute(store, ACTOR, counter, add("first"), first);
  await execute(store, ACTOR, counter, add("second"), { commandId: "c-2" });
  shelf.getLatestSnapshot = () => new Promise(() => {});
  const again = () => execute(store, ACTOR, counter, add("first"), { ...first, timeout: 100 });
  await assertRejects(again, StoreUnavailableError, "did not end before its deadline");
  assertEquals((await execute(store, ACTOR, counter, add("third"))).version, 3);
});

const sum: Decider<number, number> = {
  initialState: () => 0,
  evolve: (total, { data }) => total + (data as number),
  decide: (data) => ({ eventType: "Added", data }),
};
const list: Decider<number[], number> = {
  initialState: () => [],
  evolve: (all, { data }) => [...all, data as number],
  decide: (data) => ({ eventType: "Added", data }),
};

/** The states of one actor by two evolutions, each from its own snapshot. */
async function statesOf(
  store: EventStore,
  snapshots: SnapshotStore,
  names: { readonly sum?: string; readonly list?: string },
): Promise<unknown[]> {
  const optionsOf = (name?: string) => ({
    snapshots: { store: snapshots, schemaVersion: 1, every: 1, ...name !== undefined && { name } },
  });
  for (const by of [1, 2]) {
    await execute(store, ACTOR, sum, by, optionsOf(names.sum));
    await execute(store, ACTOR, list, 10 * by, optionsOf(names.list));
  }
  const { state: total } = await rehydrate(store, ACTOR, sum, optionsOf(names.sum));
  const { state: all } = await rehydrate(store, ACTOR, list, optionsOf(names.list));
  return [total, all];
}

const OWN = [33, [1, 10, 2, 20]];

Deno.test("two evolutions of one actor in one snapshot store never read each other's", async () => {
  for (const names of [{}, { sum: "sum" }, { sum: "sum", list: "list" }]) {
    await using store = new InMemoryEventStore();
    assertEquals(await statesOf(store, new InMemorySnapshotStore(), names), OWN);
  }
});

storeTest(
  "two evolutions of one actor on one stream of snapshots have their own",
  async (stores) => {
    const { store, connection } = await stores.open();
    const { namespace } = store;
    await using snapshots = await JetStreamSnapshotStore.open(connection, { namespace });
    assertEquals(await statesOf(store, snapshots, {}), OWN);
  },
);

Deno.test("two evolutions under one name do read each other's: the control", async () => {
  await using store = new InMemoryEventStore();
  const names = { sum: "same", list: "same" };
  const states = await statesOf(store, new InMemorySnapshotStore(), names).catch(String);
  assert(JSON.stringify(states) !== JSON.stringify(OWN));
});

Deno.test("snapshots of rules without a source text need a name", async () => {
  await using store = new InMemoryEventStore();
  const bound = { ...sum, evolve: sum.evolve.bind(undefined) };
  const snapshots = { store: new InMemorySnapshotStore(), schemaVersion: 1 };
  await assertRejects(() => execute(store, ACTOR, bound, 1, { snapshots }), TypeError, "a name");
  // Of one text, and not the same.
  const made = (by: number) => ({ ...sum, evolve: (count: number) => count + by });
  for (const rules of [made(1), made(2)]) {
    await assertRejects(() => execute(store, ACTOR, rules, 1, { snapshots }), TypeError, '"by"');
    await assertRejects(() => rehydrate(store, ACTOR, rules, { snapshots }), TypeError, '"by"');
  }
  await assertRejects(() => rehydrate(store, ACTOR, bound, { snapshots }), TypeError, "a name");
  const named = { ...snapshots, name: "" };
  await assertRejects(() => execute(store, ACTOR, bound, 1, { snapshots: named }), RangeError);
  await execute(store, ACTOR, bound, 1, { snapshots: { ...snapshots, name: "sum" } });
});
