import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  appendEvents,
  type Decider,
  type Event,
  type EventStore,
  execute,
  executeAll,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
  StoreUnavailableError,
  StreamRegressedError,
  VersionConflictError,
} from "../../../store/mod.ts";
import { turns } from "../../../testing/event_store/kit.ts";
import {
  add,
  assertOnce,
  ClosedError,
  type Counter,
  counter,
  type CounterCommand,
  type CounterEvent,
} from "../../support/counter.ts";
import { Shelf } from "./shelf.ts";
import { ACTOR, meanwhile, Spied } from "./execute_bed.ts";

Deno.test("execute() saves the decider's events, and returns events, state and version", async () => {
  await using store = new InMemoryEventStore();
  const { state, version, events } = await execute(store, ACTOR, counter, {
    type: "add often",
    times: 3,
  });
  assertEquals([state, version], [{ total: 3, open: true }, 3]);
  assertEquals(await store.getEvents(ACTOR), [...events]);
});

Deno.test("a caller may use the objects of a call again at once", async () => {
  await using store = new InMemoryEventStore();
  const command = { type: "add" as const, by: 1 };
  const options = { commandId: "one", metadata: { userId: "u-1" } };
  const first = execute(store, ACTOR, counter, command, options);
  options.commandId = "two";
  options.metadata.userId = "u-2";
  command.by = 10;
  const second = execute(store, ACTOR, counter, command, options);
  const parts = [{ actorId: "counter-2", decider: counter, command }];
  const all = executeAll(store, parts);
  parts[0] = { ...parts[0]!, actorId: "counter-3" };
  command.by = 100;
  assertEquals([(await first).state.total, (await second).state.total], [1, 11]);
  assertEquals((await first).duplicate, false);
  assertEquals((await first).events[0]!.metadata?.userId, "u-1");
  assertEquals((await all)[0]!.state.total, 10);
  assertEquals(await store.getEvents("counter-3"), []);
});

Deno.test("options that cannot be read end the call, and no later one", async () => {
  await using store = new InMemoryEventStore();
  const options = {
    get cache(): boolean {
      throw new Error("nothing to read");
    },
  };
  const call = () => execute(store, ACTOR, counter, add("first"), options);
  await assertRejects(call, Error, "nothing to read");
  assertEquals((await execute(store, ACTOR, counter, add("second"))).version, 1);
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

Deno.test("an error of decide() or evolve() reaches the caller, and nothing is saved", async () => {
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

Deno.test("after a conflict the command is decided again on the new state", async () => {
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
  const many = execute(store, ACTOR, counter, { type: "add often", times: 256_001 });
  await assertRejects(() => many, RangeError, "at most 256000 fit in one batch");
  assertEquals(await store.getLatestVersion(ACTOR), 20 * times);
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

Deno.test("later changes by the caller do not reach the actor's state", async () => {
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

Deno.test("commands that are saved together each give their own state, if evolve() works in place", async () => {
  await using store = new Spied();
  const inPlace: Decider<{ total: number }, CounterCommand, CounterEvent> = {
    ...counter,
    initialState: () => ({ total: 0 }),
    evolve: (state, event) => {
      if (event.eventType === "Added") state.total += event.data.by;
      return state;
    },
    decide: ({ type }) => {
      assertEquals(type, "add");
      return { eventType: "Added", data: { by: 1, command: "it" } };
    },
  };
  const commands = Array.from({ length: 20 }, () => execute(store, ACTOR, inPlace, add("it")));
  const totals = (await Promise.all(commands)).map(({ state }) => state.total);
  assertEquals(totals, Array.from({ length: 20 }, (_, at) => at + 1));
});

Deno.test("a frozen state is handed out as it is; an instance of a class is not kept", async () => {
  class Total {
    total = 0;
  }
  const evolving = <State extends { total: number }>(make: (total: number) => State) => ({
    initialState: () => make(0),
    evolve: ({ total }: State, _event: CounterEvent) => make(total + 1),
    decide: () => ({ eventType: "Added" as const, data: { by: 1, command: "it" } }),
  });
  await using store = new Spied();
  const frozen = evolving((total) => Object.freeze({ total, own: {} }));
  for (let total = 1; total <= 3; total++) {
    const { state } = await execute(store, ACTOR, frozen, null);
    assertEquals([state.total, Object.isFrozen(state.own), store.reads], [total, true, 1]);
  }
  const instance = evolving((total) => Object.assign(new Total(), { total }));
  for (let total = 4; total <= 6; total++) {
    const { state } = await execute(store, ACTOR, instance, null);
    assertEquals([state.total, state instanceof Total], [total, true]);
    state.total = 100;
  }
});

Deno.test("a decision that tries something out on a map of a frozen state changes only its own", async () => {
  await using store = new Spied();
  type Seats = { readonly seats: ReadonlyMap<string, number> };
  const hall: Decider<Seats, string, Event<"Taken", string>> = {
    initialState: () => ({ seats: new Map() }),
    evolve: ({ seats }, { data }) => Object.freeze({ seats: new Map(seats).set(data, 1) }),
    decide(who, { seats }) {
      if ((seats as Map<string, number>).set(who, 1).size > 2) throw new RangeError("full");
      return { eventType: "Taken", data: who };
    },
  };
  for (const who of ["ada", "bob"]) await execute(store, ACTOR, hall, who);
  await assertRejects(() => execute(store, ACTOR, hall, "eve"), RangeError, "full");
  const { state } = await execute(store, ACTOR, hall, "ada");
  assertEquals([...state.seats.keys()], ["ada", "bob"]);
});

Deno.test("a read that never ends holds no later command", async () => {
  await using store = new Spied();
  const kept = new InMemorySnapshotStore();
  kept.getLatestSnapshot = () => new Promise(() => {});
  const snapshots = { store: kept, schemaVersion: 1 };
  const late = execute(store, ACTOR, counter, add("late"), { snapshots, timeout: 20 });
  await assertRejects(() => late, StoreUnavailableError);
  assertEquals((await execute(store, ACTOR, counter, add("next"))).version, 1);
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

Deno.test("a history that has lost a known event is StreamRegressedError", async () => {
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

Deno.test("impossible options are a RangeError, and nothing is read", async () => {
  await using store = new Spied();
  const shelf = new Shelf();
  for (
    const options of [
      { timeout: 0 },
      { timeout: NaN },
      { timeout: 2 ** 31 },
      { snapshots: { store: shelf, name: "counter", schemaVersion: 1, every: 0 } },
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

Deno.test("a refusal is distinct from the errors of this library", async () => {
  await using store = new InMemoryEventStore();
  await execute(store, ACTOR, counter, { type: "close" });
  const error = await execute(store, ACTOR, counter, add("")).catch((error: unknown) => error);
  assertEquals([error instanceof ClosedError, isAetherError(error)], [true, false]);
});
