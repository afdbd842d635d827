import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import {
  appendEvents,
  type EventStore,
  InMemoryEventStore,
  JetStreamEventStore,
  rehydrate,
  type Snapshot,
  type SnapshotOptions,
  type SnapshotStore,
  StreamRegressedError,
} from "../../../store/mod.ts";
import { type Counter, counter, type CounterEvent } from "../../support/counter.ts";
import { natsTest } from "../../support/fixture.ts";
import { Shelf } from "./shelf.ts";

async function fill(store: EventStore, count: number, from = 0): Promise<void> {
  const drafts = Array.from({ length: count }, () => (
    { eventType: "Added", data: { by: 1, command: "" } } as const
  ));
  await appendEvents<CounterEvent>(store, "counter-1", from, drafts);
}

/** Counts how many events were folded. */
function counting(): { folded: number } & typeof counter {
  const own = {
    ...counter,
    folded: 0,
    evolve: (state: Counter, event: CounterEvent): Counter => {
      own.folded++;
      return counter.evolve(state, event);
    },
  };
  return own;
}

/** The tests that hold on any store. */
function tests(
  title: string,
  test: (name: string, run: (store: EventStore) => Promise<void>) => void,
): void {
  test(`${title}: an actor without events has its initial state`, async (store) => {
    const { state, version } = await rehydrate(store, "counter-1", counter);
    assertEquals([state, version], [{ total: 0, open: true }, 0]);
  });

  test(`${title}: all events are folded in order`, async (store) => {
    await fill(store, 3);
    await appendEvents<CounterEvent>(store, "counter-1", 3, [{ eventType: "Closed", data: null }]);
    const { state, version } = await rehydrate(store, "counter-1", counter);
    assertEquals([state, version], [{ total: 3, open: false }, 4]);
  });

  test(`${title}: events after the snapshot are folded, those in it are not`, async (store) => {
    await fill(store, 10);
    const snapshots = { store: new Shelf(), name: "counter", schemaVersion: 1 };
    await snapshots.store.saveSnapshot(snapshotAt(8));
    const own = counting();
    const { state, version } = await rehydrate(store, "counter-1", own, { snapshots });
    assertEquals([state.total, version, own.folded], [1002, 10, 2]);
  });

  test(`${title}: a snapshot at the last event leaves nothing to fold`, async (store) => {
    await fill(store, 4);
    const snapshots = { store: new Shelf(), name: "counter", schemaVersion: 1 };
    await snapshots.store.saveSnapshot(snapshotAt(4));
    const own = counting();
    const { state, version } = await rehydrate(store, "counter-1", own, { snapshots });
    assertEquals([state.total, version, own.folded], [1000, 4, 0]);
  });

  test(`${title}: a snapshot ahead of the events is StreamRegressedError`, async (store) => {
    await fill(store, 4);
    const snapshots = { store: new Shelf(), name: "counter", schemaVersion: 1 };
    await snapshots.store.saveSnapshot(snapshotAt(6));
    const load = () => rehydrate(store, "counter-1", counter, { snapshots });
    const error = await assertRejects(load, StreamRegressedError);
    assertEquals([error.expectedSequence, error.actualSequence], [6, 4]);
    assertMatch(error.message, /they end at 4, though a state or snapshot of version 6 is kept/);
    // The control: without the snapshot there is nothing to notice.
    assertEquals((await rehydrate(store, "counter-1", counter)).version, 4);
  });

  test(`${title}: a snapshot behind another event is StreamRegressedError`, async (store) => {
    await fill(store, 4);
    const snapshots = { store: new Shelf(), name: "counter", schemaVersion: 1 };
    await snapshots.store.saveSnapshot({ ...snapshotAt(3), lastEventId: "lost" });
    const load = () => rehydrate(store, "counter-1", counter, { snapshots });
    const error = await assertRejects(load, StreamRegressedError);
    assertMatch(error.message, /the event at 3 is not the one that .* snapshot ends with/);
  });
}

tests("memory", (name, run) =>
  Deno.test(name, async () => {
    await using store = new InMemoryEventStore();
    await run(store);
  }));

tests("JetStream", (name, run) =>
  natsTest(name, async (scene) => {
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace: scene.namespace });
    await run(store);
  }));

Deno.test("a snapshot of another schema is passed over", async () => {
  await using store = new InMemoryEventStore();
  await fill(store, 4);
  const shelf = new Shelf();
  await shelf.saveSnapshot(snapshotAt(3));
  const load = async (schemaVersion: number) => {
    const snapshots = { store: shelf, name: "counter", schemaVersion };
    return (await rehydrate(store, "counter-1", counter, { snapshots })).state.total;
  };
  assertEquals([await load(1), await load(2)], [1001, 4]);
});

Deno.test("a snapshot store that fails is reported, and the events are replayed", async () => {
  await using store = new InMemoryEventStore();
  await fill(store, 4);
  const broken = new Error("broken");
  const reports: unknown[] = [];
  const snapshots: SnapshotOptions = {
    store: {
      getLatestSnapshot: () => Promise.reject(broken),
      saveSnapshot: () => Promise.reject(broken),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    } as SnapshotStore,
    schemaVersion: 1,
    onError: (error, actorId) => void reports.push([error, actorId]),
  };
  assertEquals((await rehydrate(store, "counter-1", counter, { snapshots })).state.total, 4);
  assertEquals(reports, [[broken, "counter-1"]]);
});

Deno.test("rehydrate() takes functions of other shapes than a decider's", async () => {
  await using store = new InMemoryEventStore();
  await fill(store, 3);
  const versions = { initialState: () => "", evolve: (seen: string) => `${seen}.` };
  assertEquals((await rehydrate(store, "counter-1", versions)).state, "...");
});

Deno.test("an error of evolve() reaches the caller", async () => {
  await using store = new InMemoryEventStore();
  await fill(store, 1);
  const thrown = new Error("from evolve");
  const evolve = () => {
    throw thrown;
  };
  const load = () => rehydrate(store, "counter-1", { initialState: () => 0, evolve });
  assertStrictEquals(await load().catch((error: unknown) => error), thrown);
});

Deno.test("an aborted signal ends the load by its reason", async () => {
  await using store = new InMemoryEventStore();
  await fill(store, 3);
  const reason = new Error("enough");
  const load = (signal: AbortSignal) => rehydrate(store, "counter-1", counter, { signal });
  assertStrictEquals(await load(AbortSignal.abort(reason)).catch((error) => error), reason);
  const controller = new AbortController();
  const loading = load(controller.signal);
  controller.abort(reason);
  assertStrictEquals(await loading.catch((error) => error), reason);
});

Deno.test("an aborted signal ends the load while the snapshot store does not answer", async () => {
  await using store = new InMemoryEventStore();
  const controller = new AbortController();
  const shelf = new class extends Shelf {
    override getLatestSnapshot(): Promise<never> {
      queueMicrotask(() => controller.abort("enough"));
      return new Promise(() => {});
    }
  }();
  const snapshots = { store: shelf, name: "counter", schemaVersion: 1 };
  const { signal } = controller;
  const loading = rehydrate(store, "counter-1", counter, { snapshots, signal });
  assertEquals(await loading.catch((reason: unknown) => reason), "enough");
});

Deno.test("rehydrate() takes no snapshots", async () => {
  await using store = new InMemoryEventStore();
  await fill(store, 300);
  const shelf = new Shelf();
  const snapshots = { store: shelf, name: "counter", schemaVersion: 1, every: 1 };
  await rehydrate(store, "counter-1", counter, { snapshots });
  assert(shelf.saved.length === 0);
});

/** A snapshot whose state is not what the events say, so that its use shows. */
function snapshotAt(version: number): Snapshot {
  const state = { total: 1000, open: true };
  return {
    actorId: "counter-1",
    name: "counter",
    version,
    schemaVersion: 1,
    state,
    timestamp: new Date(),
  };
}
