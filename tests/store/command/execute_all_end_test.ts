/**
 * How calls on several actors end: at their deadline, when they are aborted, and when an answer of the
 * store is lost. No call may hold up its actors.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Decider,
  type Decision,
  type Event,
  type EventStore,
  execute,
  executeAll,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
  SaveOutcomeUnknownError,
  type SettledOutcome,
  StoreUnavailableError,
} from "../../../mod.ts";
import { ForwardingEventStore } from "../../../store/forwarding_store.ts";
import type { SaveOptions, SaveReceipt } from "../../../store/options.ts";

const sum: Decider<number, number, Event<"Added", number>> = {
  initialState: () => 0,
  evolve: (state, { data }) => state + data,
  decide: (by) => ({ eventType: "Added", data: by }),
};
const part = (actorId: string, command = 1) => ({ actorId, decider: sum, command });
const PAIR = [part("a-1"), part("b-1")] as const;

/** Called before each save, with its number from 1 on. */
type BeforeSave = (save: number, events: readonly Event[]) => Promise<unknown>;

/** A store whose saves a test delays, or lets fail. */
class Taken extends ForwardingEventStore {
  saves = 0;
  readonly #save: BeforeSave;

  constructor(store: EventStore, save: BeforeSave) {
    super(store);
    this.#save = save;
  }

  override async saveEvents(
    events: readonly Event[],
    options?: SaveOptions,
  ): Promise<SaveReceipt> {
    await this.#save(++this.saves, events);
    return await super.saveEvents(events, options);
  }
}

function unknown(settled: SettledOutcome = "unknown"): SaveOutcomeUnknownError {
  return new SaveOutcomeUnknownError("a-1", 1, () => Promise.resolve(settled), {});
}

Deno.test("a call whose save is not answered waits between its tries, and hears an abort", async () => {
  await using store = new InMemoryEventStore();
  const taken = new Taken(store, (save) => {
    throw save === 1 ? unknown() : new StoreUnavailableError("Cannot save: nobody answers");
  });
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new Error("no patience")), 200);
  const error = await assertRejects(() => executeAll(taken, PAIR, { signal: abort.signal }));
  clearTimeout(timer);
  assert(isAetherError(error, "SaveOutcomeUnknownError"));
  assert(taken.saves < 500, `${taken.saves} saves in 200 ms`);
});

Deno.test("a call that is aborted while its events are on their way gives the outcome", async () => {
  await using store = new InMemoryEventStore();
  const abort = new AbortController();
  const taken = new Taken(store, async () => {
    abort.abort(new Error("too late"));
    await new Promise((resolve) => setTimeout(resolve, 10));
  });
  const [a, b] = await executeAll(taken, PAIR, { signal: abort.signal });
  assertEquals([a.version, b.version, await store.getLatestVersion("b-1")], [1, 1, 1]);
});

/** Things that never come to an end. */
const HANGING: Readonly<Record<string, (store: EventStore) => Promise<unknown>>> = {
  "a decision": (store) => {
    const decide = () => new Promise<Decision<Event<"Added", number>>>(() => {});
    const hanging = { ...part("a-1"), decider: { ...sum, decide } };
    return executeAll(store, [hanging, part("b-1")], { timeout: 50 });
  },
  "a snapshot": (store) => {
    const never = { getLatestSnapshot: () => new Promise<undefined>(() => {}) };
    const shelf = Object.assign(new InMemorySnapshotStore(), never);
    const snapshots = { store: shelf, name: "sum", schemaVersion: 1 };
    return executeAll(store, PAIR, { timeout: 50, snapshots });
  },
};

for (const [what, run] of Object.entries(HANGING)) {
  Deno.test(`${what} that never comes ends at the deadline, and its actors are free`, async () => {
    await using store = new InMemoryEventStore();
    const error = await assertRejects(() => run(store));
    assert(isAetherError(error, "StoreUnavailableError"));
    const [a] = await executeAll(store, PAIR);
    assertEquals([a.version, (await execute(store, "b-1", sum, 1)).version], [1, 2]);
  });
}

Deno.test("a call behind another one ends at its own deadline, or when it is aborted", async () => {
  await using store = new InMemoryEventStore();
  const { promise, resolve } = Promise.withResolvers<void>();
  const taken = new Taken(store, (save) => save === 1 ? promise : Promise.resolve());
  const first = executeAll(taken, PAIR);
  const late = await assertRejects(() => executeAll(taken, PAIR, { timeout: 20 }));
  assert(isAetherError(late, "StoreUnavailableError"));
  const abort = new AbortController();
  const waiting = executeAll(taken, PAIR, { signal: abort.signal });
  abort.abort(new Error("no patience"));
  await assertRejects(() => waiting, Error, "no patience");
  resolve();
  await first;
  assertEquals([await store.getLatestVersion("a-1"), taken.saves], [1, 1]);
});

Deno.test("any try that is stored settles the call", async () => {
  await using store = new InMemoryEventStore();
  const taken = new Taken(store, (save) => {
    throw unknown(save === 1 ? "saved" : "not-saved");
  });
  const error = await assertRejects(() => executeAll(taken, PAIR, { timeout: 50 }));
  assert(isAetherError(error, "SaveOutcomeUnknownError") && taken.saves > 1);
  assertEquals(await error.settle(), "saved");
});

Deno.test("a call whose events are saved is never told that they are not", async () => {
  await using store = new InMemoryEventStore();
  const taken = new Taken(store, async (save, events) => {
    if (save > 1) return;
    await store.saveEvents(events);
    throw unknown();
  });
  taken.readAll = () => {
    throw new StoreUnavailableError("Cannot read the events: nobody answers");
  };
  const error = await assertRejects(() => executeAll(taken, PAIR));
  assert(isAetherError(error, "SaveOutcomeUnknownError"));
  assertEquals([await error.settle(), await store.getLatestVersion("a-1")], ["saved", 1]);
});

Deno.test("parts and options that cannot be are refused before anything is decided", async () => {
  await using store = new InMemoryEventStore();
  const other = { ...sum, evolve: (state: number) => state };
  const parts = [part("a-1"), { ...part("a-1"), decider: other }];
  await assertRejects(() => executeAll(store, parts), TypeError, 'part 1 gives "a-1" another');
  const same = [part("a-1"), { ...part("a-1"), decider: { ...sum, decide: () => [] } }];
  assertEquals((await executeAll(store, same)).map(({ version }) => version), [1, 1]);
  const shelf = new InMemorySnapshotStore();
  const impossible = [
    [{ snapshots: { store: shelf, name: "", schemaVersion: 1 } }, RangeError],
    [{ snapshots: { store: {}, name: "sum", schemaVersion: 1 } }, TypeError],
    [{ snapshots: { store: shelf, name: "sum", schemaVersion: 1, every: "100" } }, TypeError],
    [{ snapshots: 5 }, TypeError],
    [{ timeout: "100" }, RangeError],
  ] as const;
  for (const [options, kind] of impossible) {
    await assertRejects(() => executeAll(store, PAIR, options as never), kind);
    await assertRejects(() => execute(store, "a-1", sum, 1, options as never), kind);
  }
  assertEquals(await store.getLatestVersion("b-1"), 0);
});
