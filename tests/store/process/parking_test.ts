/**
 * Processes that are parked: nothing that was held is lost, and no other process is held up.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CheckpointStore,
  CommandCrashedOwnersError,
  type Event,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  type Process,
  ProcessManager,
  type ProcessManagerOptions,
  rehydrate,
  StoreRefusedError,
} from "../../../mod.ts";
import { ParkedProcesses } from "../../../store/process/parked.ts";
import { both, place, Run, until } from "./bed.ts";
import type { Placed } from "./order.ts";

type Saw = Event<"Saw", string>;
type State = readonly string[];
type Options = ProcessManagerOptions<State, Placed, Saw>;

/** Notes the actors of its inputs; each event is for the process that `correlate` says. */
function notes(change: Partial<Process<State, Placed, Saw>> = {}): Process<State, Placed, Saw> {
  return {
    name: "notes",
    correlate: () => "all",
    initialState: () => [],
    evolve: (seen, { data }) => [...seen, data],
    react: (_seen, input) =>
      "kind" in input ? {} : { facts: [{ eventType: "Saw", data: input.actorId }] },
    ...change,
  };
}

function manage(
  { store, checkpoints }: Pick<Options, "store"> & { readonly checkpoints: CheckpointStore },
  options: Partial<Options> = {},
): ProcessManager<State, Placed, Saw> {
  return new ProcessManager<State, Placed, Saw>({
    ...{ process: notes(), store, checkpoints, from: "start", filter: { category: "order" } },
    ...{ retry: { attempts: 1, delay: 1 }, onError: () => {} },
    ...options,
  });
}

both("an earlier event that comes to a parked process later is taken by its retry", async (bed) => {
  let isBroken = true;
  const process = notes({
    correlate: ({ actorId }) => {
      if (isBroken && actorId === "order-1") throw new Error("no process");
      return "all";
    },
    react: (_seen, input) => {
      if (isBroken) throw new Error("no reaction");
      return "kind" in input ? {} : { facts: [{ eventType: "Saw", data: input.actorId }] };
    },
  });
  for (const id of ["order-1", "order-2"]) await place(bed.store, id);
  await using run = new Run(manage(bed, { process, onPoison: "park" }));
  await run.of.caughtUp;
  await until(async () => (await run.of.describe("all")).parked !== undefined);
  assertEquals((await run.of.parkedActors()).map(({ actorId }) => actorId), ["order-1"]);
  isBroken = false;
  assert(await run.of.unpark("order-1"));
  assert(await run.of.retry("all"));
  assertEquals([...(await run.of.describe("all")).state!].sort(), ["order-1", "order-2"]);
});

both("events that fail side by side are all taken by the retry, in order", async (bed) => {
  let isBroken = true;
  const process = notes({
    react: (_seen, input) => {
      if (isBroken) throw new Error("no reaction");
      return "kind" in input ? {} : { facts: [{ eventType: "Saw", data: input.actorId }] };
    },
  });
  const ids = ["order-1", "order-2", "order-3", "order-4"];
  for (const id of ids) await place(bed.store, id);
  await using run = new Run(manage(bed, { process }));
  await run.of.caughtUp;
  isBroken = false;
  assert(await run.of.retry("all"));
  assertEquals((await run.of.describe("all")).state, ids);
});

both("an event that has no process yet holds up the retry of no other process", async (bed) => {
  let isBroken = true;
  let isUnknown = true;
  const process = notes({
    correlate: ({ actorId, version }) => {
      if (isUnknown && actorId === "order-2" && version === 1) throw new Error("no process");
      return actorId;
    },
    react: (_seen, input) => {
      if (isBroken) throw new Error("no reaction");
      return "kind" in input ? {} : {
        facts: [{ eventType: "Saw", data: `${input.actorId} ${input.version}` }],
      };
    },
  });
  const failures: unknown[] = [];
  const options: Partial<Options> = {
    ...{ process, onPoison: "park" },
    onError: (error, event) => failures.push([(error as Error).message, event?.actorId]),
  };
  await place(bed.store, "order-1");
  await using run = new Run(manage(bed, options));
  const isParked = async () => (await run.of.describe("order-1")).parked !== undefined;
  await until(isParked);
  for (const version of [1, 2]) await place(bed.store, "order-2", version);
  await place(bed.store, "order-1", 2);
  await run.of.caughtUp;
  isBroken = false;
  failures.length = 0;
  assert(await run.of.retry("order-1"));
  assertEquals(failures, [["no process", "order-2"]]);
  assertEquals((await run.of.describe("order-1")).state, ["order-1 1", "order-1 2"]);
  assertEquals((await run.of.describe("order-2")).state, []);
  isUnknown = false;
  assert(await run.of.unpark("order-2"));
  await run.of.caughtUp;
  assertEquals((await run.of.describe("order-2")).state, ["order-2 1", "order-2 2"]);
});

both("a retry that ends early loses no event, and the next one goes on with it", async (bed) => {
  let isBroken = true;
  const process = notes({
    react: (_seen, input) => {
      if (isBroken) throw new Error("no reaction");
      return "kind" in input
        ? {}
        : { facts: [{ eventType: "Saw", data: `${input.actorId} ${input.version}` }] };
    },
  });
  const { store } = bed;
  await place(store, "order-1");
  await using run = new Run(manage(bed, { process }));
  await until(async () => (await run.of.describe("all")).parked !== undefined);
  isBroken = false;
  const caller = new AbortController();
  const { sequence } = (await run.of.describe("all")).parked!;
  const [readAll, saveEvents] = [store.readAll.bind(store), store.saveEvents.bind(store)];
  store.readAll = async function* (options) {
    yield* readAll(options);
    if (options?.from !== sequence) return;
    // It comes when the retry has read all: it is held, as the process is parked.
    await place(store, "order-1", 2);
    await run.of.caughtUp;
  };
  store.saveEvents = async (events, options) => {
    const saved = await saveEvents(events, options);
    const isOfRetry = events.some(({ eventType }) => eventType.startsWith("Process"));
    if (isOfRetry) caller.abort(new Error("the caller has no more time"));
    return saved;
  };
  await assertRejects(() => run.of.retry("all", caller), Error, "no more time");
  Object.assign(store, { readAll, saveEvents });
  assert((await run.of.describe("all")).parked !== undefined);
  assert(await run.of.retry("all"));
  assertEquals((await run.of.describe("all")).parked, undefined);
  await place(store, "order-1", 3);
  await run.of.caughtUp;
  const seen = ["order-1 1", "order-1 2", "order-1 3"];
  assertEquals((await run.of.describe("all")).state, seen);
  await until(async () => (await run.of.parked()).length === 0);
});

Deno.test("a retry of a process that is not parked takes it out of the list", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  await using manager = manage({ store, checkpoints });
  const list = new ParkedProcesses(checkpoints, `${manager.category}:parked`, store.identity);
  const since = new Date(0).toISOString();
  const entry = { id: "all", sequence: 1, eventId: "lost", reason: "broken", since };
  await list.update("all", () => Promise.resolve(entry));
  assertEquals(await manager.parked(), [entry]);
  assert(await manager.retry("all"));
  assertEquals(await manager.parked(), []);
});

Deno.test("a react() that gives other joint commands each time parks its process", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  let calls = 0;
  const process = notes({
    react: () => {
      calls++;
      return { together: true, commands: [{ actorId: "x-1", command: crypto.randomUUID() }] };
    },
  });
  const decider = {
    initialState: () => 0,
    evolve: (count: number) => count,
    decide: () => ({ eventType: "X", data: null }),
  };
  await place(store, "order-1");
  await using run = new Run(manage({ store, checkpoints }, { process, deciders: { x: decider } }));
  await until(async () => (await run.of.describe("all")).parked !== undefined);
  assert(calls < 100, `${calls} calls`);
  assertEquals(await store.getEvents("x-1"), []);
});

Deno.test("a command that crashes its owners parks its process, and goes out when it is retried", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  let sends = 0;
  const process = notes({
    react: (_seen, input) => "kind" in input ? {} : { commands: [{ actorId: "x-1", command: 1 }] },
  });
  const options: Partial<Options> = {
    process,
    send: (actorId, _command, { commandId }) => {
      if (++sends === 1) throw new CommandCrashedOwnersError(commandId, actorId, ["a", "b"]);
      return Promise.resolve();
    },
  };
  await place(store, "order-1");
  await using run = new Run(manage({ store, checkpoints }, options));
  await until(async () => (await run.of.describe("all")).parked !== undefined);
  assertEquals(sends, 1);
  await run.of.retry("all");
  await until(async () => (await run.of.describe("all")).commands.length === 0);
  assertEquals(sends, 2);
});

Deno.test("a list of parked processes that is too long holds up no other process", async () => {
  await using store = new InMemoryEventStore();
  const kept = new InMemoryCheckpointStore();
  const checkpoints: CheckpointStore = {
    load: (key) => kept.load(key),
    save: (key, checkpoint) => {
      if (checkpoint.body.length < 1_000) return kept.save(key, checkpoint);
      throw new StoreRefusedError("Cannot save: too large", "save less", 10054);
    },
  };
  const sent: string[] = [];
  const process = notes({
    correlate: ({ actorId }) => actorId,
    react: (_seen, input) => {
      if ("kind" in input) return {};
      if (input.actorId !== "order-good") throw new Error("a long reason for the list".repeat(4));
      return { commands: [{ actorId: "x-1", command: 1 }] };
    },
  });
  const errors: unknown[] = [];
  const send = (actorId: string) => Promise.resolve(void sent.push(actorId));
  const options = { process, send, onError: (error: unknown) => void errors.push(error) };
  for (let at = 0; at < 20; at++) await place(store, `order-${at}`);
  await place(store, "order-good");
  await using _run = new Run(manage({ store, checkpoints }, options));
  await until(() => sent.length === 1);
  await until(() => errors.some((error) => error instanceof StoreRefusedError));
});

Deno.test("a manager that runs refuses to run once more, and so does one that was disposed", async () => {
  await using store = new InMemoryEventStore();
  const manager = manage({ store, checkpoints: new InMemoryCheckpointStore() });
  const running = manager.run();
  await manager.caughtUp;
  await assertRejects(() => manager.run(), TypeError, "running");
  await manager[Symbol.asyncDispose]();
  await running;
  await assertRejects(() => manager.run(), TypeError, "disposed");
});

Deno.test("a state at a time shares nothing with the rules, as any other", async () => {
  await using store = new InMemoryEventStore();
  await place(store, "order-1");
  const first = { count: 0 };
  const rules = {
    initialState: () => first,
    evolve: (state: { count: number }) => {
      state.count++;
      return state;
    },
  };
  const at = new Date(Date.now() + 60_000);
  for (const _time of [1, 2]) {
    assertEquals((await rehydrate(store, "order-1", rules, { at })).state, { count: 1 });
  }
  assertEquals(first, { count: 0 });
});
