/**
 * Processes that are parked: nothing that was held is lost, and no other process is held up.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { stub } from "@std/testing/mock";
import {
  type CheckpointStore,
  CommandCrashedOwnersError,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  rehydrate,
  type SendFacts,
  StoreRefusedError,
} from "../../../mod.ts";
import { ParkedProcesses } from "../../../store/process/parked.ts";
import { place, Run, until } from "./bed.ts";
import { manage, notes, type Options } from "./notes.ts";

Deno.test("a retry of a process that is not parked takes it out of the list", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  await using manager = manage({ store, checkpoints });
  const list = new ParkedProcesses(
    checkpoints,
    `${manager.category}:parked`,
    store.identity,
    () => {
      throw new Error("it is whole");
    },
  );
  const since = new Date(0).toISOString();
  const entry = { id: "all", sequence: 1, eventId: "lost", reason: "broken", since };
  await list.update("all", () => Promise.resolve(entry), new AbortController().signal);
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

Deno.test("a command of an ended process that crashes its owners waits for a retry, whoever ends", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  const process = notes({
    correlate: ({ actorId }) => actorId,
    react: (_seen, input) => {
      if ("kind" in input) return {};
      const isDeadly = input.actorId === "order-deadly";
      return { done: true, commands: isDeadly ? [{ actorId: "x-1", command: null }] : [] };
    },
  });
  const tries: string[] = [];
  const send = async (actorId: string, _command: unknown, { commandId }: SendFacts) => {
    tries.push(actorId);
    if (tries.length > 1) return;
    await place(store, "order-other");
    await until(async () => (await run.of.describe("order-other")).ended !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 50)); // The manager hears of that meanwhile.
    throw new CommandCrashedOwnersError(commandId, actorId, ["one", "two"]);
  };
  await using run = new Run(manage({ store, checkpoints }, { process, send, partitions: 1 }));
  await place(store, "order-deadly");
  await until(async () => (await run.of.parked()).length === 1);
  assertEquals((await run.of.parked())[0]!.id, "order-deadly");
  assertEquals(tries.length, 1);
  assert(await run.of.retry("order-deadly"));
  await until(async () => (await run.of.describe("order-deadly")).commands.length === 0);
  assertEquals([tries.length, await run.of.parked()], [2, []]);
});

Deno.test("a command that has crashed its owners does not go out again because its manager restarts", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  const sent: unknown[] = [];
  let isMended = false;
  const process = notes({
    react: (_seen, input) =>
      "kind" in input ? {} : {
        commands: [{ actorId: "x-1", command: "deadly" }, { actorId: "y-1", command: "other" }],
      },
  });
  const send = (actorId: string, command: unknown, { commandId }: SendFacts) => {
    sent.push(command);
    if (command === "other" || isMended) return Promise.resolve();
    return Promise.reject(new CommandCrashedOwnersError(commandId, actorId, ["one", "two"]));
  };
  const start = () => new Run(manage({ store, checkpoints }, { process, send }));
  await place(store, "order-1");
  {
    await using run = start();
    await until(async () => (await run.of.parked()).length === 1);
    await until(() => sent.length === 2);
  }
  const later = Date.now() + 60_000;
  using _later = stub(Date, "now", () => later);
  sent.length = 0;
  await using run = start();
  await until(() => sent.length > 0); // The outcome of the other one waits: it is asked for again.
  await run.of.caughtUp;
  assertEquals(sent, ["other"]);
  isMended = true;
  assert(await run.of.retry("all"));
  await until(async () => (await run.of.describe("all")).commands.length === 0);
  assert(sent.includes("deadly"));
});

Deno.test("a parked process whose facts cannot be folded holds up no other process", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  let isNewCode = false;
  let failed = 0;
  const process = notes({
    evolve: (seen, { data }) => {
      if (!isNewCode) return [...seen, data];
      failed++;
      throw new Error("new code cannot read it");
    },
  });
  const retry = { attempts: 5, delay: 1 };
  await place(store, "order-1");
  await using run = new Run(manage({ store, checkpoints }, { process, retry }));
  await run.of.caughtUp;
  isNewCode = true;
  for (let version = 2; version <= 11; version++) await place(store, "order-1", version);
  await run.of.caughtUp;
  await until(async () => (await run.of.parked()).length === 1);
  assert(failed < 10 + 2 * retry.attempts, `${failed} calls`);
});

Deno.test("a reaction with more events than fit in one commit parks its process", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  const facts = Array.from({ length: 256_001 }, () => ({ eventType: "Saw" as const, data: "it" }));
  const process = notes({ evolve: (seen) => seen, react: () => ({ facts }) });
  await place(store, "order-1");
  await using run = new Run(manage({ store, checkpoints }, { process }));
  await until(async () => (await run.of.parked()).length === 1);
  const [parked] = await run.of.parked();
  assert(parked!.reason.includes("256001 events"), parked!.reason);
});

Deno.test("an id that no process can have is refused, whoever gives it", async () => {
  await using store = new InMemoryEventStore();
  let calls = 0;
  const process = notes({ correlate: () => "x".repeat(195), react: () => void calls++ });
  const run = new Run(manage({ store, checkpoints: new InMemoryCheckpointStore() }, { process }));
  for (const id of ["", "\ud800", "x".repeat(195), undefined as unknown as string]) {
    await assertRejects(() => run.of.describe(id), RangeError, "by its id");
    await assertRejects(() => run.of.retry(id), RangeError, "by its id");
    await assertRejects(() => run.of.end(id), RangeError, "by its id");
  }
  assertEquals(await Array.fromAsync(store.readAll()), []);
  await place(store, "order-1");
  const error = await run.end as Error;
  assert(`${error.cause}`.includes("its id takes"), `${error.cause}`);
  assertEquals(calls, 0);
  await run.of[Symbol.asyncDispose]();
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
