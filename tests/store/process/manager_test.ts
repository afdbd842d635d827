/**
 * Processes: each input is decided once, each command has its events once and its outcome comes
 * back once, over restarts, lost indexes, refusals and failures of the process's own code.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  appendEvents,
  type CheckpointStore,
  type Event,
  type EventStore,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  ProcessManager,
  type ProcessManagerOptions,
  type RecordedEvent,
} from "../../../mod.ts";
import { type Bed, both, place, Run, Stock, typesOf, until } from "./bed.ts";
import { type Became, type Order, orderProcess, type Placed, targets } from "./order.ts";

type Options = ProcessManagerOptions<Order, Placed, Became>;

function manage(
  { store, checkpoints }: { store: EventStore; checkpoints: CheckpointStore },
  options: Partial<Options> = {},
): ProcessManager<Order, Placed, Became> {
  return new ProcessManager<Order, Placed, Became>({
    ...{ process: orderProcess(), store, checkpoints, deciders: targets(), from: "start" },
    ...{ filter: { category: "order" }, partitions: 2, retry: { attempts: 2, delay: 1 } },
    onError: () => {},
    ...options,
  });
}

async function add(store: EventStore, pieces: number): Promise<void> {
  await execute(store, "stock-pen", new Stock(), { add: pieces });
}

async function ended(manager: ProcessManager<Order, Placed, Became>, ...ids: string[]) {
  await until(async () => {
    const all = await Promise.all(ids.map((id) => manager.describe(id)));
    return all.every(({ ended, commands }) => ended !== undefined && commands.length === 0);
  });
}

const WHOLE = [
  "Became",
  "CommandIssued",
  "CommandSettled",
  "Became",
  "CommandIssued",
  "CommandSettled",
  "Became",
  "ProcessEnded",
];

both("a process takes each input in one commit, and ends", async (bed) => {
  await add(bed.store, 10);
  await place(bed.store, "order-1");
  const manager = manage(bed);
  await using _run = new Run(manager);
  await ended(manager, "1");
  assertEquals(await typesOf(bed.store, "process:order-1"), WHOLE);
  const { state, commands, ended: end, parked } = await manager.describe("1");
  assertEquals(state, { what: "paid by 1", inputs: 3 });
  assertEquals([commands, end, parked], [[], {}, undefined]);
  const commits: RecordedEvent[] = [];
  for await (const event of bed.store.readAll({ filter: { category: "process:order" } })) {
    commits.push(event);
  }
  assertEquals(commits.map(({ commit: { index, count } }) => `${index}/${count}`), [
    ...["0/2", "1/2", "0/3", "1/3", "2/3", "0/3", "1/3", "2/3"],
  ]);
  assertEquals(await typesOf(bed.store, "stock-pen"), ["Added", "Taken"]);
  assertEquals(await typesOf(bed.store, "payment-1"), ["Added"]);
  const [order] = await bed.store.getEvents("order-1");
  assertEquals(commits.at(-1)?.metadata?.correlationId, order!.id);
});

both("inputs and commands that come again change nothing", async (bed) => {
  await add(bed.store, 100);
  const ids = Array.from({ length: 10 }, (_, at) => `${at}`);
  for (const id of ids) await place(bed.store, `order-${id}`);
  for (let round = 0; round < 3; round++) {
    const store = await bed.open();
    // Without checkpoints all inputs are delivered again, and all that is open looked for again.
    const checkpoints = round === 1 ? new InMemoryCheckpointStore() : bed.checkpoints;
    const manager = manage({ store, checkpoints });
    await using run = new Run(manager);
    await run.of.caughtUp;
    await ended(manager, ...ids);
  }
  for (const id of ids) assertEquals(await typesOf(bed.store, `process:order-${id}`), WHOLE);
  assertEquals((await typesOf(bed.store, "stock-pen")).length, 11);
});

both("what is issued and not settled goes out again after a crash", (bed) => resend(bed, false));
both("it does when its index is half lost", (bed) => resend(bed, true));

async function resend(bed: Bed, isLossy: boolean): Promise<void> {
  await add(bed.store, 100);
  for (const id of ["1", "2", "3"]) await place(bed.store, `order-${id}`);
  const sent: string[] = [];
  {
    const manager = manage(bed, {
      deciders: {},
      send: async (_actorId, _command, { commandId, signal }) => {
        sent.push(commandId);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        throw signal.reason; // It dies without an answer.
      },
    });
    await using _run = new Run(manager);
    await until(() => sent.length === 3);
    const { commands } = await manager.describe("1");
    assertEquals(commands.map(({ actorId, key }) => [actorId, key]), [["stock-pen", "take"]]);
    assert(sent.includes(commands[0]!.id));
  }
  const saved = bed.checkpoints;
  let chunks = 0;
  const lossy: CheckpointStore = {
    load: (key) => {
      if (!/agenda\.1\.\d\.0$/.test(key)) return saved.load(key);
      chunks++;
      return isLossy ? Promise.resolve(undefined) : saved.load(key);
    },
    save: (key, checkpoint) => saved.save(key, checkpoint),
  };
  const again: string[] = [];
  const manager = manage({ store: await bed.open(), checkpoints: lossy }, {
    deciders: {},
    send: async (actorId, command, facts) => {
      again.push(facts.commandId);
      await execute(bed.store, actorId, new Stock(), command as { take: number }, facts);
    },
  });
  await using _run = new Run(manager);
  await ended(manager, "1", "2", "3");
  assertEquals(again.filter((id) => sent.includes(id)).sort(), sent.sort());
  // What `send` answers is no outcome: the events are.
  assertEquals((await manager.describe("1")).state?.what, "paid by 1");
  assertEquals(await typesOf(bed.store, "stock-pen"), ["Added", "Taken", "Taken", "Taken"]);
  assert(chunks > 0);
}

both("control: an input that is noted after the send is sent twice", async (bed) => {
  await add(bed.store, 100);
  const { sequence } = await place(bed.store, "order-1");
  for (const dies of [true, false]) {
    if ((await typesOf(bed.store, "naive-1")).includes("Taken")) break;
    await execute(bed.store, "stock-pen", new Stock(), { take: 1 });
    if (dies) continue;
    const taken = { eventType: "Taken", data: { sequence } };
    await appendEvents(bed.store, "naive-1", 0, [taken]);
  }
  assertEquals(await typesOf(bed.store, "stock-pen"), ["Added", "Taken", "Taken"]);
});

both("a refusal is an input, and stays when the stock comes back", async (bed) => {
  await place(bed.store, "order-1");
  {
    const manager = manage(bed);
    await using _run = new Run(manager);
    await ended(manager, "1");
    assertEquals((await manager.describe("1")).state?.what, "cancelled");
  }
  await add(bed.store, 100);
  const manager = manage({ store: await bed.open(), checkpoints: new InMemoryCheckpointStore() });
  await using run = new Run(manager);
  await run.of.caughtUp;
  assertEquals((await manager.describe("1")).state, { what: "cancelled", inputs: 2 });
  assertEquals(await typesOf(bed.store, "stock-pen"), ["Added"]);
});

both("after its end a process takes inputs without effect, and never lives again", async (bed) => {
  await add(bed.store, 100);
  await place(bed.store, "order-1");
  const manager = manage(bed);
  await using run = new Run(manager);
  await ended(manager, "1");
  const before = await manager.describe("1");
  await place(bed.store, "order-1", 2);
  await run.of.caughtUp;
  assertEquals(await manager.describe("1"), before);
  await manager.end("2", { reason: "by hand" });
  await place(bed.store, "order-2");
  await run.of.caughtUp;
  const { state, commands, ended: end } = await manager.describe("2");
  assertEquals([state?.what, commands.length, end], ["new", 0, { reason: "by hand" }]);
});

both("a process whose code throws is parked by itself, and goes on in order", async (bed) => {
  await add(bed.store, 100);
  let broken = true;
  const seen: string[] = [];
  const plain = orderProcess();
  const process = orderProcess({
    correlate: () => "all",
    react: (state, input, context) => {
      if ("kind" in input) return plain.react(state, input, context);
      if (broken && input.actorId === "order-2") throw Object.create(null);
      seen.push(`${input.actorId} ${input.version}`);
      return {};
    },
  });
  const manager = manage(bed, { process });
  await using run = new Run(manager);
  const { sequence } = await place(bed.store, "order-1");
  await run.of.caughtUp;
  const failed = await place(bed.store, "order-2");
  await run.of.caughtUp;
  await place(bed.store, "order-1", 2);
  await place(bed.store, "order-2", 2);
  await run.of.caughtUp;
  await until(async () => (await manager.parked()).length === 1);
  const [parked] = await manager.parked();
  assert(failed.sequence > sequence);
  assertEquals([parked!.id, parked!.sequence], ["all", failed.sequence]);
  assertEquals((await manager.describe("all")).parked?.sequence, failed.sequence);
  assertEquals(seen, ["order-1 1"]);
  assertEquals(await manager.retry("all"), false);
  broken = false;
  assertEquals(await manager.retry("all"), true);
  assertEquals(seen, ["order-1 1", "order-2 1", "order-1 2", "order-2 2"]);
  await until(async () => (await manager.parked()).length === 0);
});

both("an outcome that the code cannot take waits until it can", async (bed) => {
  await add(bed.store, 100);
  await place(bed.store, "order-1");
  let broken = true;
  const plain = orderProcess();
  const process = orderProcess({
    react: (state, input, context) => {
      if ("kind" in input && broken) throw new Error("cannot take it");
      return plain.react(state, input, context);
    },
  });
  const manager = manage(bed, { process });
  await using _run = new Run(manager);
  await until(async () => (await manager.parked()).length === 1);
  const { commands, parked } = await manager.describe("1");
  assertEquals([commands.length, parked?.reason], [1, "Error: cannot take it"]);
  broken = false;
  assertEquals(await manager.retry("1"), true);
  await ended(manager, "1");
  assertEquals((await manager.describe("1")).state?.what, "paid by 1");
  assertEquals(await typesOf(bed.store, "stock-pen"), ["Added", "Taken"]);
});

both("new code goes on with old processes: facts are folded, decisions never", async (bed) => {
  await add(bed.store, 100);
  await place(bed.store, "order-1");
  const asked = Promise.withResolvers<void>();
  {
    const manager = manage(bed, {
      deciders: { stock: new Stock() },
      send: async (_actorId, _command, { signal }) => {
        asked.resolve();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        throw signal.reason;
      },
    });
    await using _run = new Run(manager);
    await asked.promise;
  }
  const process = orderProcess({
    react: ({ inputs }, input) => {
      assert("kind" in input && input.kind === "reply", "the old input is not decided again");
      const what = `${input.actorId} by new code`;
      return { facts: [{ eventType: "Became", data: { what, inputs: inputs + 1 } }], done: true };
    },
  });
  const own = { store: await bed.open(), checkpoints: new InMemoryCheckpointStore() };
  const manager = manage(own, { process });
  await using _run = new Run(manager);
  await ended(manager, "1");
  assertEquals((await manager.describe("1")).state, { what: "payment-1 by new code", inputs: 3 });
});

both("two managers that believe they run it decide each input once", async (bed) => {
  await add(bed.store, 1000);
  const ids = Array.from({ length: 30 }, (_, at) => `${at}`);
  for (const id of ids) await place(bed.store, `order-${id}`);
  // Each has checkpoints of its own, so neither ever hears of the other.
  const managers = await Promise.all(
    [0, 1].map(async () =>
      manage({ store: await bed.open(), checkpoints: new InMemoryCheckpointStore() })
    ),
  );
  await using _one = new Run(managers[0]!);
  await using _other = new Run(managers[1]!);
  await Promise.all(managers.map((manager) => ended(manager, ...ids)));
  for (const id of ids) assertEquals(await typesOf(bed.store, `process:order-${id}`), WHOLE);
  assertEquals((await typesOf(bed.store, "stock-pen")).length, 31);
});

both("events of two actors with one id are two inputs", async (bed) => {
  await add(bed.store, 10);
  await place(bed.store, "order-1", 1, "same");
  await place(bed.store, "order-2", 1, "same");
  // It never ends: the other input may come much later than the first one.
  const process = orderProcess({
    correlate: () => "both",
    react: (_state, input) =>
      "kind" in input ? {} : { commands: [{ actorId: "stock-pen", command: { take: 1 } }] },
  });
  const manager = manage(bed, { process });
  await using run = new Run(manager);
  await run.of.caughtUp;
  await until(async () => (await typesOf(bed.store, "stock-pen")).length === 3);
});

both(
  "pausing stops inputs and commands, and a restored store is gone through again",
  async (bed) => {
    await add(bed.store, 10);
    const manager = manage(bed);
    await using run = new Run(manager);
    await manager.pause();
    const { sequence } = await place(bed.store, "order-1");
    assertEquals((await manager.lag()).events, 1);
    await manager.resume();
    await ended(manager, "1");
    await manager.resumeAt(sequence);
    await run.of.caughtUp;
    assertEquals(await typesOf(bed.store, "process:order-1"), WHOLE);
  },
);

Deno.test("a process that cannot be is refused, and what it issues to nobody parks it", async () => {
  await using store = new InMemoryEventStore();
  const bed: Pick<Bed, "store" | "checkpoints"> = {
    store,
    checkpoints: new InMemoryCheckpointStore(),
  };
  for (const name of ["an-order", "order:agenda"]) {
    const process = orderProcess({ name });
    assertThrows(() => manage(bed, { process }), RangeError, "has a - or a :");
  }
  const deciders = { "shopping-cart": new Stock() };
  assertThrows(() => manage(bed, { deciders }), RangeError, "has a dash inside");
  assertThrows(() => manage(bed, { from: undefined! }), TypeError, "from is missing");
  const own: EventStore = Object.create(store);
  assertThrows(() => manage({ ...bed, store: own }), TypeError, "store is none of this library");
  for (
    const [commands, facts, reason] of [
      [[{ actorId: "nobody-1", command: 1 }], [], "no decider"],
      [[{ actorId: "stock-1", command: 1n }], [], "Cannot"],
      [[], [{ eventType: "CommandSettled", data: { id: "x" } }], "library's own"],
    ] as const
  ) {
    await using store = new InMemoryEventStore();
    await place(store, "order-1");
    const process = orderProcess({
      react: () => ({ commands, facts: facts as unknown as Became[] }),
    });
    const manager = manage({ store, checkpoints: new InMemoryCheckpointStore() }, { process });
    await using _run = new Run(manager);
    await until(async () => (await manager.parked()).length === 1);
    const [parked] = await manager.parked();
    assert(parked!.reason.includes(reason), parked!.reason);
    const { version } = await manager.describe("1");
    assertEquals(version, 1);
  }
});

Deno.test("a correlate that throws halts the manager", async () => {
  await using store = new InMemoryEventStore();
  await place(store, "order-1");
  const correlate = (_event: Event): string => {
    throw new Error("no id");
  };
  const process = orderProcess({ correlate });
  const run = new Run(manage({ store, checkpoints: new InMemoryCheckpointStore() }, { process }));
  const error = await run.end;
  assert(isAetherError(error, "PoisonEventError"));
  await run.of[Symbol.asyncDispose]();
});
