import { assertEquals } from "@std/assert";
import { execute, InMemoryEventStore, InMemorySnapshotStore } from "../../../store/mod.ts";
import { add, type Counter, counter } from "../../support/counter.ts";
import { Shelf } from "../../support/shelf.ts";
import { ACTOR, Spied } from "./execute_bed.ts";

Deno.test("snapshots are taken as the policy says, and used", async () => {
  await using store = new Spied();
  const shelf = new Shelf();
  const snapshots = { store: shelf, schemaVersion: 1, every: 10 };
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
  const snapshots = { store: shelf, schemaVersion: 1, every: 1 };
  await Promise.all(
    Array.from({ length: 100 }, () => execute(store, ACTOR, counter, add(""), { snapshots })),
  );
  const snapshot = await shelf.getLatestSnapshot<Counter>(ACTOR, { schemaVersion: 1 });
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
  const snapshots = { store: shelf, schemaVersion: 1, every: 1, onError };
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
  const snapshots = { store: shelf, schemaVersion: 1, every: 1 };
  const options = { snapshots, timeout: 30 };
  const slow = execute(store, ACTOR, counter, add("first"), options);
  // The next one does not wait for it.
  await execute(store, ACTOR, counter, add("second"));
  assertEquals((await slow).version, 1);
});
