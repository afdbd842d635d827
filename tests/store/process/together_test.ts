/**
 * Reactions with `together`: the input, the facts and the events of several actors are one commit,
 * or a refusal is the next input; over lost acks, conflicts and kills.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type CheckpointStore,
  type Event,
  type EventStore,
  execute,
  InMemoryCheckpointStore,
  JetStreamEventStore,
  KvCheckpointStore,
  type Process,
  ProcessManager,
  type ProcessManagerOptions,
  type ProcessReaction,
  type RecordedEvent,
  rehydrate,
} from "../../../mod.ts";
import { processSpec } from "../../../testing/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { both, place, Run, Stock, typesOf, until } from "./bed.ts";
import type { Placed } from "./order.ts";

type Became = Event<"Became", { what: string }>;
type Options = ProcessManagerOptions<string, Placed, Became>;

/** Takes a pen and a pad together; a refusal cancels the order. */
function bundle(
  change: Partial<Process<string, Placed, Became>> = {},
): Process<string, Placed, Became> {
  return {
    name: "bundle",
    correlate: ({ actorId }) => actorId.slice("order-".length),
    initialState: () => "new",
    evolve: (_, { data }) => data.what,
    react: (_state, input, { now }): ProcessReaction<Became> => {
      const became = (what: string) => [{ eventType: "Became" as const, data: { what } }];
      if (!("kind" in input)) {
        return {
          facts: became("reserved"),
          together: true,
          commands: ["pen", "pad"].map((sku) => ({
            ...{ actorId: `stock-${sku}`, command: { take: 1 }, key: sku },
          })),
          deadlines: { pay: new Date(now.getTime() + 3_600_000) },
        };
      }
      if (input.kind !== "reply") return { facts: became("late"), done: true };
      return { facts: became(`no ${input.key}: ${input.refused?.message}`), done: true };
    },
    ...change,
  };
}

function manage(
  { store, checkpoints }: { store: EventStore; checkpoints: CheckpointStore },
  options: Partial<Options> = {},
): ProcessManager<string, Placed, Became> {
  return new ProcessManager<string, Placed, Became>({
    ...{ process: bundle(), store, checkpoints, deciders: { stock: new Stock() }, from: "start" },
    ...{ filter: { category: "order" }, partitions: 2, retry: { attempts: 2, delay: 1 } },
    onError: () => {},
    ...options,
  });
}

async function add(store: EventStore, sku: string, pieces: number): Promise<void> {
  await execute(store, `stock-${sku}`, new Stock(), { add: pieces }, { timeout: 60_000 });
}

async function pieces(store: EventStore, sku: string): Promise<number> {
  return (await rehydrate(store, `stock-${sku}`, new Stock())).state;
}

async function became(
  manager: ProcessManager<string, Placed, Became>,
  ids: readonly string[],
): Promise<unknown[]> {
  const states = () => Promise.all(ids.map((id) => manager.describe(id)));
  await until(async () =>
    (await states()).every(({ state, commands }) => state !== "new" && commands.length === 0)
  );
  return (await states()).map(({ state }) => state);
}

both("together: facts and the events of all targets are one commit", async (bed) => {
  for (const sku of ["pen", "pad"]) await add(bed.store, sku, 5);
  await place(bed.store, "order-1");
  const manager = manage(bed);
  await using _run = new Run(manager);
  assertEquals(await became(manager, ["1"]), ["reserved"]);
  const all: RecordedEvent[] = await Array.fromAsync(bed.store.readAll());
  assertEquals(all.slice(3).map(({ actorId, eventType }) => `${actorId} ${eventType}`), [
    "process:bundle-1 Became",
    "process:bundle-1 DeadlineSet",
    "process:bundle-1 CommandIssued",
    "process:bundle-1 CommandIssued",
    "stock-pen Taken",
    "stock-pad Taken",
  ]);
  const { commands, deadlines } = await manager.describe("1");
  assertEquals([commands, deadlines.map(({ name }) => name)], [[], ["pay"]]);
});

both("together: of a reaction that is refused nothing is stored but the refusal", async (bed) => {
  await add(bed.store, "pen", 5);
  await place(bed.store, "order-1");
  let errors = 0;
  const manager = manage(bed, { onError: () => errors++ });
  await using _run = new Run(manager);
  assertEquals(await became(manager, ["1"]), ["no pad: there are only 0"]);
  assertEquals(await typesOf(bed.store, "process:bundle-1"), [
    ...["CommandIssued", "CommandSettled", "Became", "ProcessEnded"],
  ]);
  assertEquals([await pieces(bed.store, "pen"), await typesOf(bed.store, "stock-pad")], [5, []]);
  // It is an outcome like any other: it is tried once, and stays.
  await add(bed.store, "pad", 5);
  const again = manage({ store: await bed.open(), checkpoints: new InMemoryCheckpointStore() });
  await using run = new Run(again);
  await run.of.caughtUp;
  assertEquals(await pieces(bed.store, "pad"), 5);
  assertEquals(errors, 0);
});

both("together: many processes and other writers on the same actors", async (bed) => {
  const orders = Array.from({ length: 30 }, (_, at) => `${at}`);
  await add(bed.store, "pen", 20);
  await add(bed.store, "pad", 1_000);
  for (const id of orders) await place(bed.store, `order-${id}`);
  const other = await bed.open();
  const manager = manage(bed, { partitions: 8 });
  await using _run = new Run(manager);
  const counts: Promise<void>[] = [];
  for (let at = 0; at < 20; at++) counts.push(add(at % 2 ? other : bed.store, "pad", 1));
  const [states] = await Promise.all([became(manager, orders), ...counts]);
  assertEquals(states.filter((state) => state === "reserved").length, 20);
  assertEquals(states.filter((state) => state === "no pen: there are only 0").length, 10);
  assertEquals([await pieces(bed.store, "pen"), await pieces(bed.store, "pad")], [0, 1_000]);
});

both("together: inputs that come again change nothing", async (bed) => {
  for (const sku of ["pen", "pad"]) await add(bed.store, sku, 5);
  await place(bed.store, "order-1");
  for (let round = 0; round < 3; round++) {
    const manager = manage({ store: await bed.open(), checkpoints: new InMemoryCheckpointStore() });
    await using run = new Run(manager);
    await run.of.caughtUp;
    assertEquals(await became(manager, ["1"]), ["reserved"]);
  }
  assertEquals([await pieces(bed.store, "pen"), await pieces(bed.store, "pad")], [4, 4]);
});

both("together: targets without deciders, and rules that throw, park the process", async (bed) => {
  for (const sku of ["pen", "pad"]) await add(bed.store, sku, 5);
  for (const id of ["1", "2", "3"]) await place(bed.store, `order-${id}`);
  const broken = new Stock();
  broken.evolve = () => {
    throw new TypeError("broken rules");
  };
  const wrong = (actorId: string) =>
    bundle({
      react: () => ({ together: true, commands: [{ actorId, command: { take: 1 } }] }),
    });
  const options: [Partial<Options>, string][] = [
    [{ deciders: {}, send: () => Promise.resolve() }, "its category has no decider"],
    [{ deciders: { stock: broken } }, "broken rules"],
    [
      { process: wrong("process:bundle-1"), send: () => Promise.resolve() },
      "the process's own history",
    ],
  ];
  for (const [option, reason] of options) {
    const checkpoints = new InMemoryCheckpointStore();
    const manager = manage({ store: bed.store, checkpoints }, option);
    await using run = new Run(manager);
    await run.of.caughtUp;
    assert(!await manager.retry("1"));
    const { parked } = await manager.describe("1");
    assert(parked?.reason.includes(reason), parked?.reason);
  }
  const manager = manage(bed);
  await using run = new Run(manager);
  await run.of.caughtUp;
  for (const id of ["1", "2", "3"]) assert(await manager.retry(id), id);
  assertEquals(await became(manager, ["1", "2", "3"]), ["reserved", "reserved", "reserved"]);
  assertEquals(await pieces(bed.store, "pen"), 2);
});

natsTest("together: lost acks and cut connections double nothing, lose nothing", async (scene) => {
  const { namespace } = scene;
  const direct = await scene.connect();
  await using plain = await JetStreamEventStore.open(direct, { namespace });
  const orders = Array.from({ length: 20 }, (_, at) => `${at}`);
  await add(plain, "pen", 12);
  await add(plain, "pad", 100);
  for (const id of orders) await place(plain, `order-${id}`);
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 2_000 });
  await using checkpoints = await KvCheckpointStore.open(direct, { namespace });
  const meal = proxy.eatAcks(6);
  const manager = manage({ store, checkpoints }, { partitions: 4 });
  await using _run = new Run(manager);
  await meal.done;
  proxy.cutAtMessage();
  const watching = manage({ store: plain, checkpoints });
  const states = await became(watching, orders);
  assertEquals(states.filter((state) => state === "reserved").length, 12);
  assertEquals([await pieces(plain, "pen"), await pieces(plain, "pad")], [0, 88]);
  assertEquals(await manager.parked(), []);
});

natsTest(
  "together: a program that dies between refusal and record decides it again",
  async (scene) => {
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    await add(store, "pen", 1);
    await place(store, "order-1");
    const died = new AbortController();
    const stock = new Stock();
    const { decide } = stock;
    // It dies at the refusal: nothing of what it decided is stored.
    stock.decide = (command, state) => {
      try {
        return decide(command, state);
      } catch (error) {
        died.abort();
        throw error;
      }
    };
    const checkpoints = new InMemoryCheckpointStore();
    await manage({ store, checkpoints }, { deciders: { stock } }).run({ signal: died.signal });
    const before = await typesOf(store, "process:bundle-1");
    await add(store, "pad", 1); // What was not stored is not final.
    const manager = manage({ store, checkpoints });
    await using _run = new Run(manager);
    const [state] = await became(manager, ["1"]);
    assertEquals(state, before.length === 0 ? "reserved" : "no pad: there are only 0");
    const isTaken = state === "reserved" ? 0 : 1;
    assertEquals([await pieces(store, "pen"), await pieces(store, "pad")], [isTaken, isTaken]);
  },
);

Deno.test("processSpec() compares together", () => {
  const spec = processSpec(bundle(), { id: "1" });
  const placed = { eventType: "OrderPlaced", data: { pieces: 1 } } as const;
  spec.given().when(placed).then({
    facts: [{ eventType: "Became", data: { what: "reserved" } }],
    together: true,
    commands: ["pen", "pad"].map((sku) => ({
      ...{ actorId: `stock-${sku}`, command: { take: 1 }, key: sku },
    })),
    deadlines: { pay: new Date(3_600_000) },
  });
});

Deno.test("processSpec() undoes a decision that is refused, as a manager does", () => {
  const seen: string[] = [];
  const { react } = bundle();
  const process = bundle({
    react: (state, input, context) => {
      seen.push(state);
      return react(state, input, context);
    },
  });
  const spec = processSpec(process, { id: "1" });
  const placed = { eventType: "OrderPlaced", data: { pieces: 1 } } as const;
  const refused = { name: "RangeError", message: "there are only 0" };
  const no = { kind: "reply", key: "pad", refused } as const;
  spec.given([placed]).thenState("reserved");
  spec.given([placed]).when(no).then({
    facts: [{ eventType: "Became", data: { what: "no pad: there are only 0" } }],
    done: true,
  });
  assertEquals(seen, ["new", "new", "new"]);
  const cancelled = spec.given([placed, no]);
  cancelled.thenState("no pad: there are only 0");
  const pay = { kind: "deadline", name: "pay" } as const;
  assertThrows(() => cancelled.when(pay), Error, "no deadline is set");
  assertThrows(() => spec.given([placed, no, no]), Error, "no command waits");
  assertThrows(() => spec.given([placed]).when({ ...no, key: "ink" }), Error, "no command waits");
  assertThrows(
    () => spec.given([placed]).when({ kind: "reply", key: "pad" }),
    Error,
    "the command was decided together with input 1",
  );
  const other = { eventType: "OrderPlaced", data: { pieces: 2 } } as const;
  assertThrows(() => spec.given([placed, pay, no]), Error, "is the input right after");
  spec.given([placed, other]).when(no).then({
    facts: [{ eventType: "Became", data: { what: "no pad: there are only 0" } }],
    done: true,
  });
});
