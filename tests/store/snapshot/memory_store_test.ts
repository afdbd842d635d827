import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  InMemorySnapshotStore,
  type Snapshot,
  snapshotEvery,
  type SnapshotQuery,
} from "../../../store/mod.ts";
import { snapshotStoreSuite } from "../../../testing/snapshot_store/suite.ts";

snapshotStoreSuite({
  test: (name, run) => Deno.test(`InMemorySnapshotStore: ${name}`, run),
  skip: (name, reason) =>
    Deno.test({ name: `InMemorySnapshotStore: ${name} (${reason})`, ignore: true, fn() {} }),
  create: () => new InMemorySnapshotStore(),
  capabilities: { reopen: false, maxBytes: 1024 * 1024 - 2048 },
});

snapshotStoreSuite({
  test: (name, run) => {
    if (/fits/.test(name)) Deno.test(`InMemorySnapshotStore of 10,000 bytes: ${name}`, run);
  },
  create: () => new InMemorySnapshotStore({ maxBytes: 10_000 }),
  capabilities: { reopen: false, maxBytes: 10_000 - 2048 },
});

Deno.test("snapshotEvery() is due at each multiple that is reached or passed", () => {
  const isDue = snapshotEvery(10);
  const cases: [number, number, boolean][] = [
    [0, 1, false],
    [0, 9, false],
    [0, 10, true],
    [9, 10, true],
    [10, 11, false],
    [10, 10, false],
    [5, 14, true],
    [11, 19, false],
    [11, 40, true],
  ];
  for (const [before, after, expected] of cases) {
    assertEquals(isDue(before, after), expected, `from ${before} to ${after}`);
  }
  assert(snapshotEvery(1)(4, 5));
  for (const n of [0, -1, 0.5, NaN, Infinity]) assertThrows(() => snapshotEvery(n), RangeError);
});

/** A store with one promise broken must fail the tests of that promise, and fail by an Error. */
function control(broken: string, create: () => InMemorySnapshotStore, caughtBy: string[]): void {
  Deno.test(`the suite catches a snapshot store that ${broken}`, async () => {
    const tests = new Map<string, () => Promise<void>>();
    snapshotStoreSuite({
      test: (name, run) => void tests.set(name, run),
      create,
      capabilities: { reopen: false, maxBytes: 1024 * 1024 - 2048 },
    });
    for (const name of caughtBy) {
      const failure = await tests.get(name)!().then(() => undefined, (error: unknown) => error);
      assert(failure instanceof Error, `"${name}" passes`);
    }
  });
}

/** Keeps the last save, of any version. */
class LastWins extends InMemorySnapshotStore {
  #inner = new InMemorySnapshotStore();

  override saveSnapshot(snapshot: Snapshot): Promise<boolean> {
    this.#inner = new InMemorySnapshotStore();
    return this.#inner.saveSnapshot(snapshot);
  }

  override getLatestSnapshot<State>(
    ...args: Parameters<InMemorySnapshotStore["getLatestSnapshot"]>
  ): Promise<Snapshot<State> | undefined> {
    return this.#inner.getLatestSnapshot(...args);
  }
}

control("keeps what came last", () => new LastWins(), [
  "an older snapshot, or one at the same version, changes nothing",
  "the highest version of 20 concurrent writers wins",
]);

/** Gives out any schema's. */
class Blind extends InMemorySnapshotStore {
  override saveSnapshot(snapshot: Snapshot): Promise<boolean> {
    return super.saveSnapshot({ ...snapshot, schemaVersion: 1 });
  }

  override getLatestSnapshot<State>(actorId: string): Promise<Snapshot<State> | undefined> {
    return super.getLatestSnapshot(actorId, { name: "order", schemaVersion: 1 });
  }
}

/** Gives out any name's. */
class Nameless extends InMemorySnapshotStore {
  override saveSnapshot(snapshot: Snapshot): Promise<boolean> {
    return super.saveSnapshot({ ...snapshot, name: "any" });
  }

  override async getLatestSnapshot<State>(
    actorId: string,
    { name, schemaVersion }: SnapshotQuery,
  ): Promise<Snapshot<State> | undefined> {
    const query = { name: "any", schemaVersion };
    const found = await super.getLatestSnapshot<State>(actorId, query);
    return found && { ...found, name };
  }
}

control("does not look at names", () => new Nameless(), [
  "two evolutions of one actor each find their own",
]);

control("does not look at schemas", () => new Blind(), [
  "a snapshot of another schema is never returned",
  "old and new code side by side each find their own snapshots",
  "impossible ids, versions, schemas and timestamps are refused",
]);

/** Keeps the caller's own object. */
class Aliasing extends InMemorySnapshotStore {
  readonly #kept = new Map<string, Snapshot>();

  override async saveSnapshot(snapshot: Snapshot): Promise<boolean> {
    const isNewest = await super.saveSnapshot(snapshot);
    if (isNewest) this.#kept.set(snapshot.actorId, snapshot);
    return isNewest;
  }

  override getLatestSnapshot<State>(actorId: string): Promise<Snapshot<State> | undefined> {
    return Promise.resolve(this.#kept.get(actorId) as Snapshot<State> | undefined);
  }
}

control("shares objects with the caller", () => new Aliasing(), [
  "changes to a snapshot after its save do not reach the store",
  "changes to a snapshot that was read do not reach the store",
]);

/** Takes no notice of its disposal. */
class Undying extends InMemorySnapshotStore {
  override async [Symbol.asyncDispose](): Promise<void> {}
}

control("goes on after its disposal", () => new Undying(), [
  "a store that is disposed refuses everything by StoreUnavailableError",
]);
