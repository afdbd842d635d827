import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import {
  appendEvents,
  type Decider,
  type Event,
  type EventStore,
  execute,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
  SaveOutcomeUnknownError,
  type SettledOutcome,
  StoreUnavailableError,
  StreamRegressedError,
  VersionConflictError,
} from "../store/mod.ts";
import { turns } from "../testing/event_store_kit.ts";
import {
  add,
  assertOnce,
  ClosedError,
  type Counter,
  counter,
  type CounterCommand,
  type CounterEvent,
} from "./counter.ts";
import { Shelf } from "./shelf.ts";

const ACTOR = "counter-1";

/** A store on which a test can see saves and reads, and change how they end. */
class Spied extends InMemoryEventStore {
  /** The events of each save. */
  readonly saves: (readonly Event[])[] = [];
  reads = 0;
  /** Stands in for a save; `save` does what it would have done. */
  onSave: (save: () => ReturnType<EventStore["saveEvents"]>) => ReturnType<
    EventStore["saveEvents"]
  > = (save) => save();

  override saveEvents(...args: Parameters<EventStore["saveEvents"]>) {
    this.saves.push(args[0]);
    return this.onSave(() => super.saveEvents(...args));
  }

  override readEvents<E extends Event = Event>(
    ...args: Parameters<EventStore["readEvents"]>
  ): AsyncIterable<E> {
    this.reads++;
    return super.readEvents<E>(...args);
  }
}

/** Somebody else's event, past `execute`. */
async function meanwhile(store: EventStore, by = 1): Promise<void> {
  const version = await store.getLatestVersion(ACTOR);
  const data = { by, command: "other" };
  await appendEvents<CounterEvent>(store, ACTOR, version, [{ eventType: "Added", data }]);
}

function unknown(settle: () => Promise<SettledOutcome>): SaveOutcomeUnknownError {
  return new SaveOutcomeUnknownError(ACTOR, 1, settle);
}

Deno.test("execute() saves what the decider decides, and gives state, version and events", async () => {
  await using store = new InMemoryEventStore();
  const { state, version, events } = await execute(store, ACTOR, counter, {
    type: "add often",
    times: 3,
  });
  assertEquals([state, version], [{ total: 3, open: true }, 3]);
  assertEquals(await store.getEvents(ACTOR), [...events]);
});

Deno.test("a decision without events saves nothing", async () => {
  await using store = new Spied();
  await execute(store, ACTOR, counter, { type: "add", by: 5 });
  const { state, version, events } = await execute(store, ACTOR, counter, { type: "look" });
  assertEquals([state.total, version, events, store.saves.length], [5, 1, [], 1]);
});

Deno.test("a draft keeps its id and metadata, and gets what the command has", async () => {
  await using store = new InMemoryEventStore();
  const decide = () => ({
    id: "mine",
    eventType: "Closed",
    data: null,
    metadata: { userId: "draft" },
  } as const);
  const metadata = { userId: "command", correlationId: "request-1" };
  await execute(store, ACTOR, { ...counter, decide }, {}, { metadata });
  const [event] = await store.getEvents(ACTOR);
  assertEquals([event?.id, event?.metadata], ["mine", {
    userId: "draft",
    correlationId: "request-1",
  }]);
});

Deno.test("decide() may be asynchronous", async () => {
  await using store = new InMemoryEventStore();
  const decide = async (command: CounterCommand, state: Counter) => {
    await turns();
    return await counter.decide(command, state);
  };
  const commands = ["a", "b", "c"];
  const slow = { ...counter, decide };
  await Promise.all(commands.map((name) => execute(store, ACTOR, slow, add(name))));
  await assertOnce(store, ACTOR, commands);
});

Deno.test("what decide() and evolve() throw comes through as it is, and nothing is saved", async () => {
  await using store = new Spied();
  const thrown = new VersionConflictError("another", 1, 1);
  const fail = () => {
    throw thrown;
  };
  for (
    const broken of [
      { ...counter, decide: fail },
      { ...counter, decide: () => Promise.reject(thrown) },
      { ...counter, evolve: fail },
    ]
  ) {
    const failure = execute(store, ACTOR, broken, { type: "add", by: 1 });
    assertStrictEquals(await failure.catch((error: unknown) => error), thrown);
  }
  assertEquals(store.saves.length, 0);
});

Deno.test("a decision that is no event is a TypeError", async () => {
  await using store = new InMemoryEventStore();
  const decide = () => undefined as unknown as [];
  await assertRejects(() => execute(store, ACTOR, { ...counter, decide }, {}), TypeError);
});

Deno.test("a conflict is decided again on the state that has come about", async () => {
  await using store = new Spied();
  await execute(store, ACTOR, counter, add("first"));
  store.onSave = async (save) => {
    store.onSave = (save) => save();
    await meanwhile(store, 10);
    return await save();
  };
  const { state, version } = await execute(store, ACTOR, counter, add("second"));
  assertEquals([state.total, version], [12, 3]);
});

Deno.test("a refusal is never based on an outdated state", async () => {
  await using store = new InMemoryEventStore();
  await execute(store, ACTOR, counter, { type: "close" });
  // In a model where counters may be opened again, by another process.
  type Reopening = CounterEvent | Event<"Opened", null>;
  const reopening: Decider<Counter, CounterCommand, Reopening> = {
    ...counter,
    evolve: (state, event) =>
      event.eventType === "Opened" ? { ...state, open: true } : counter.evolve(state, event),
  };
  const refused = () => execute(store, ACTOR, reopening, add("early"));
  await assertRejects(refused, ClosedError);
  await appendEvents<Reopening>(store, ACTOR, 1, [{ eventType: "Opened", data: null }]);
  assertEquals((await execute(store, ACTOR, reopening, add("late"))).state.total, 1);
  await appendEvents<Reopening>(store, ACTOR, 3, [{ eventType: "Closed", data: null }]);
  await assertRejects(refused, ClosedError);
  const looked = await execute(store, ACTOR, reopening, { type: "look" });
  assertEquals(looked.version, 4);
});

Deno.test("commands of one process queue: none conflicts, each is saved once", async () => {
  await using store = new Spied();
  const commands = Array.from({ length: 500 }, (_, at) => `command ${at}`);
  let conflicts = 0;
  store.onSave = (save) =>
    save().catch((error) => {
      conflicts++;
      throw error;
    });
  const results = await Promise.all(
    commands.map((name) => execute(store, ACTOR, counter, add(name))),
  );
  await assertOnce(store, ACTOR, commands);
  assertEquals(results.map(({ version }) => version), commands.map((_, at) => at + 1));
  assertEquals(results.map(({ state }) => state.total), commands.map((_, at) => at + 1));
  assertEquals([conflicts, store.reads], [0, 1]);
  assert(store.saves.length < 250, `${store.saves.length} saves`);
});

Deno.test("commands that are saved together fail one by one", async () => {
  await using store = new Spied();
  const names = Array.from({ length: 60 }, (_, at) => `${at}`);
  const outcomes = await Promise.allSettled(names.map((name, at) => {
    // Data that no store takes, a refusal after the counter is closed, and good ones.
    if (at === 20) return execute(store, ACTOR, counter, { type: "add", by: NaN });
    return execute(store, ACTOR, counter, at === 40 ? { type: "close" } : add(name));
  }));
  const failures = outcomes.map((outcome) =>
    outcome.status === "rejected" ? outcome.reason.name : "saved"
  );
  const expected = names.map((_, at) =>
    at === 20 ? "InvalidEventError" : at > 40 ? "ClosedError" : "saved"
  );
  assertEquals(failures, expected);
  assertEquals(await store.getLatestVersion(ACTOR), 40);
});

Deno.test("more events than one save takes are saved in several, or refused", async () => {
  await using store = new Spied();
  const times = 300;
  const commands = Array.from(
    { length: 20 },
    () => execute(store, ACTOR, counter, { type: "add often", times }),
  );
  await Promise.all(commands);
  assertEquals(await store.getLatestVersion(ACTOR), 20 * times);
  const many = execute(store, ACTOR, counter, { type: "add often", times: 1001 });
  await assertRejects(() => many, RangeError);
});

Deno.test("actors do not wait for each other", async () => {
  await using store = new Spied();
  const { promise, resolve } = Promise.withResolvers<void>();
  store.onSave = (save) => promise.then(save);
  const slow = execute(store, "counter-2", counter, add("slow"));
  while (store.saves.length === 0) await turns();
  store.onSave = (save) => save();
  await execute(store, ACTOR, counter, add("quick"));
  resolve();
  await slow;
});

Deno.test("at the deadline the conflict is passed on", async () => {
  await using store = new Spied();
  let count = 0;
  let isOther = false;
  store.onSave = async (save) => {
    // The other's own save comes through here too.
    if (isOther) return await save();
    isOther = true;
    await meanwhile(store);
    isOther = false;
    count++;
    return await save();
  };
  const late = () => execute(store, ACTOR, counter, add("late"), { timeout: 60 });
  const error = await assertRejects(late, VersionConflictError);
  assertEquals(error.currentVersion, count);
  assert(count > 1, "it was tried again");
});

Deno.test("a command whose turn does not come in time is rejected, and never run", async () => {
  await using store = new Spied();
  const { promise, resolve } = Promise.withResolvers<void>();
  store.onSave = (save) => promise.then(save);
  const first = execute(store, ACTOR, counter, add("first"));
  while (store.saves.length === 0) await turns();
  const late = () => execute(store, ACTOR, counter, add("late"), { timeout: 10 });
  const error = await assertRejects(late, StoreUnavailableError);
  assertMatch(error.message, /its turn did not end before its deadline; nothing was saved/);
  resolve();
  await first;
  await assertOnce(store, ACTOR, ["first"]);
});

Deno.test("a decide() that never ends keeps the actor no longer than its deadline", async () => {
  await using store = new InMemoryEventStore();
  const stuck = { ...counter, decide: () => new Promise<never>(() => {}) };
  const forever = execute(store, ACTOR, stuck, {}, { timeout: 20 });
  const next = execute(store, ACTOR, counter, add("next"));
  await assertRejects(() => forever, StoreUnavailableError);
  await next;
});

Deno.test("a signal ends the wait for a turn, and the retries, by its reason", async () => {
  await using store = new Spied();
  const reason = new Error("enough");
  const aborted = execute(store, ACTOR, counter, add("no"), { signal: AbortSignal.abort(reason) });
  assertStrictEquals(await aborted.catch((error) => error), reason);
  const controller = new AbortController();
  let isOther = false;
  store.onSave = async (save) => {
    if (isOther) return await save();
    isOther = true;
    await meanwhile(store);
    isOther = false;
    controller.abort(reason);
    return await save();
  };
  const { signal } = controller;
  const tried = execute(store, ACTOR, counter, add("no"), { signal });
  assertStrictEquals(await tried.catch((error) => error), reason);
  await assertOnce(store, ACTOR, ["other"]);
});

Deno.test("a signal that comes while events are saved changes nothing", async () => {
  await using store = new Spied();
  const controller = new AbortController();
  store.onSave = (save) => {
    controller.abort();
    return save();
  };
  await execute(store, ACTOR, counter, add("yes"), { signal: controller.signal });
  await assertOnce(store, ACTOR, ["yes"]);
});

Deno.test("a save of unknown outcome that has landed is found to be saved", async () => {
  await using store = new Spied();
  store.onSave = async (save) => {
    await save();
    store.onSave = (save) => save();
    throw unknown(() => Promise.resolve("saved"));
  };
  const { version } = await execute(store, ACTOR, counter, add("once"));
  assertEquals(version, 1);
  assertEquals(store.saves.length, 2);
  assertStrictEquals(store.saves[0]![0]!.id, store.saves[1]![0]!.id);
  await assertOnce(store, ACTOR, ["once"]);
});

Deno.test("nothing is decided while an earlier decision may still land", async () => {
  await using store = new Spied();
  let decided = 0;
  const decide: typeof counter.decide = (...args) => {
    decided++;
    return counter.decide(...args);
  };
  let tries = 0;
  store.onSave = (save) => {
    if (++tries < 4) return Promise.reject(unknown(() => Promise.resolve("open")));
    return tries < 6 ? Promise.reject(new StoreUnavailableError("Cannot save: away")) : save();
  };
  await execute(store, ACTOR, { ...counter, decide }, add("once"));
  assertEquals([tries, decided], [6, 1]);
  await assertOnce(store, ACTOR, ["once"]);
});

Deno.test("an outcome that stays unknown is told, and can be settled later", async () => {
  await using store = new Spied();
  let save: () => Promise<unknown> = () => Promise.resolve();
  const outcomes: SettledOutcome[] = ["open"];
  store.onSave = (real) => {
    save = real;
    return Promise.reject(unknown(() => Promise.resolve(outcomes.at(-1)!)));
  };
  const lost = () => execute(store, ACTOR, counter, add("lost"), { timeout: 30 });
  const error = await assertRejects(lost, SaveOutcomeUnknownError);
  assertEquals([error.actorId, error.version, await error.settle()], [ACTOR, 1, "open"]);
  await save();
  outcomes.push("saved");
  assertEquals(await error.settle(), "saved");
});

Deno.test("of several tries without an answer, one that was stored settles them all", async () => {
  await using store = new Spied();
  const outcomes: SettledOutcome[] = ["saved", "never", "never", "never", "never", "never"];
  let tries = 0;
  store.onSave = () => {
    const at = tries++;
    return Promise.reject(unknown(() => Promise.resolve(outcomes[at] ?? "never")));
  };
  const lost = () => execute(store, ACTOR, counter, add("lost"), { timeout: 60 });
  const error = await assertRejects(lost, SaveOutcomeUnknownError);
  assert(tries > 1);
  assertEquals(await error.settle(), "saved");
});

Deno.test("a store that is away is told at once where nothing is in doubt", async () => {
  await using store = new Spied();
  store.onSave = () => Promise.reject(new StoreUnavailableError("Cannot save: away"));
  const commands = ["a", "b"].map((name) => execute(store, ACTOR, counter, add(name)));
  for (const command of commands) await assertRejects(() => command, StoreUnavailableError);
  assertEquals(store.saves.length, 2);
});

Deno.test("what the caller changes later does not reach the actor's state", async () => {
  type Listed = Event<"Listed", { items: { name: string }[] }>;
  const list: Decider<readonly { name: string }[], { items: { name: string }[] }, Listed> = {
    initialState: () => [],
    evolve: (state, { data }) => [...state, ...data.items],
    decide: ({ items }) => ({ eventType: "Listed", data: { items } }),
  };
  await using store = new InMemoryEventStore();
  const command = { items: [{ name: "pen" }] };
  await execute(store, ACTOR, list, command);
  command.items[0]!.name = "changed";
  command.items.push({ name: "more" });
  const { state } = await execute(store, ACTOR, list, { items: [] });
  assertEquals(state, [{ name: "pen" }]);
});

Deno.test("an evolve() that changes the state it is given is right after a conflict too", async () => {
  const inPlace: Decider<{ total: number }, CounterCommand, CounterEvent> = {
    ...counter,
    initialState: () => ({ total: 0 }),
    evolve: (state, event) => {
      if (event.eventType === "Added") state.total += event.data.by;
      return state;
    },
    decide: () => ({ eventType: "Added", data: { by: 1, command: "" } }),
  };
  await using store = new Spied();
  await execute(store, ACTOR, inPlace, { type: "look" });
  store.onSave = async (save) => {
    store.onSave = (save) => save();
    await meanwhile(store, 10);
    return await save();
  };
  const { state } = await execute(store, ACTOR, inPlace, { type: "look" });
  assertEquals(state.total, 12);
});

Deno.test("a state is kept for the next command, unless it must not be", async () => {
  await using store = new Spied();
  for (let count = 0; count < 3; count++) await execute(store, ACTOR, counter, add("kept"));
  assertEquals(store.reads, 1);
  const cache = false;
  for (let count = 0; count < 3; count++) {
    await execute(store, ACTOR, counter, add("loaded"), { cache });
  }
  assertEquals(store.reads, 4);
  // Another decider folds for itself.
  await execute(store, ACTOR, { ...counter }, add("other"));
  assertEquals(store.reads, 5);
});

Deno.test("a history that has lost what was seen is StreamRegressedError", async () => {
  await using store = new Spied();
  await execute(store, ACTOR, counter, add("seen"));
  await using restored = new InMemoryEventStore();
  await meanwhile(restored);
  store.onSave = () => Promise.reject(new VersionConflictError(ACTOR, 2, 1));
  store.readEvents =
    ((...args: Parameters<EventStore["readEvents"]>) => restored.readEvents(...args)) as EventStore[
      "readEvents"
    ];
  const command = () => execute(store, ACTOR, counter, add("more"));
  await assertRejects(command, StreamRegressedError);
});

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

Deno.test("a snapshot that takes for ever ends with the command's deadline", async () => {
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

Deno.test("impossible options are a RangeError, and nothing is read", async () => {
  await using store = new Spied();
  const shelf = new Shelf();
  for (
    const options of [
      { timeout: 0 },
      { timeout: NaN },
      { timeout: 2 ** 31 },
      { snapshots: { store: shelf, schemaVersion: 1, every: 0 } },
    ]
  ) {
    await assertRejects(() => execute(store, ACTOR, counter, add(""), options), RangeError);
  }
  await assertRejects(() => execute(store, "", counter, add("")), RangeError);
  assertEquals(store.saves.length, 0);
});

Deno.test("types flow from the decider into commands, events and states", async () => {
  await using store = new InMemoryEventStore();
  const { state, events } = await execute(store, ACTOR, counter, { type: "close" });
  const open: boolean = state.open;
  const [event] = events;
  if (event?.eventType === "Added") event.data.by satisfies number;
  assertEquals([open, event?.eventType], [false, "Closed"]);

  const wrong: Decider<Counter, CounterCommand, CounterEvent> = {
    ...counter,
    // @ts-expect-error: an added event has a number in it.
    decide: () => ({ eventType: "Added", data: { by: "1", command: "" } }),
  };
  const unheardOf: Decider<Counter, CounterCommand, CounterEvent> = {
    ...counter,
    // @ts-expect-error: there is no such event.
    decide: () => [{ eventType: "Multiplied", data: null }],
  };
  const mixed: Decider<Counter, CounterCommand, CounterEvent> = {
    ...counter,
    evolve: (state, event) => {
      // @ts-expect-error: not every event has this data.
      event.data.by;
      return event.eventType === "Added" ? { ...state, total: event.data.by } : state;
    },
  };
  // @ts-expect-error: there is no such command.
  const command = () => execute(store, ACTOR, counter, { type: "multiply" });
  assert([wrong, unheardOf, mixed, command].every(Boolean));
});

Deno.test("a refusal can be told from errors of this library", async () => {
  await using store = new InMemoryEventStore();
  await execute(store, ACTOR, counter, { type: "close" });
  const error = await execute(store, ACTOR, counter, add("")).catch((error: unknown) => error);
  assertEquals([error instanceof ClosedError, isAetherError(error)], [true, false]);
});
