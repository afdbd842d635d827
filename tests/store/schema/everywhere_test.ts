/**
 * Definitions in processes, reactors and clusters: their events are checked as any other, and what
 * they keep for themselves is not.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { z } from "zod";
import {
  type Decider,
  defineEvents,
  type Event,
  type EventsOf,
  execute,
  executeAll,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  InMemorySnapshotStore,
  JetStreamEventStore,
  type Process,
  ProcessManager,
  type ProcessReaction,
  Projection,
  Reactor,
  rehydrate,
} from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { join, QUICK, settled } from "../../cluster/bed.ts";
import { Run, typesOf, until } from "../process/bed.ts";

const events = defineEvents({
  OrderPlaced: z.object({ pieces: z.int() }),
  Taken: z.object({ pieces: z.int().max(10), by: z.string().default("anybody") }),
  Became: z.object({ what: z.enum(["taken", "refused"]) }),
}, { checkReads: true });
type ShopEvent = EventsOf<typeof events>;
type Placed = Extract<ShopEvent, { eventType: "OrderPlaced" }>;
type Became = Extract<ShopEvent, { eventType: "Became" }>;

const stock: Decider<number, { take: number }, ShopEvent> = {
  initialState: () => 0,
  evolve: (taken, event) => event.eventType === "Taken" ? taken + event.data.pieces : taken,
  decide: ({ take }) => {
    if (take === 3) throw new RangeError("not three");
    return events.Taken({ pieces: take });
  },
};

const shipping = (what: string): Process<string, Placed, Became> => ({
  name: "shipping",
  correlate: ({ actorId }) => actorId.slice("order-".length),
  initialState: () => "new",
  evolve: (_, { data }) => data.what,
  react: (_state, input): ProcessReaction<Became> => {
    if (!("kind" in input)) {
      const take = { actorId: "stock-pen", command: { take: input.data.pieces } };
      return { commands: [take], deadlines: { pay: new Date(Date.now() + 3_600_000) } };
    }
    const is = input.kind === "reply" && input.refused === undefined ? what : "refused";
    // Not by its constructor: the store has to look at it.
    return { facts: [{ eventType: "Became", data: { what: is as "taken" } }], done: true };
  },
});

Deno.test("a process keeps its own events in a store with definitions, and its facts are checked", async () => {
  await using store = new InMemoryEventStore({ events });
  const checkpoints = new InMemoryCheckpointStore();
  const manage = (what: string) =>
    new ProcessManager<string, Placed, Became>({
      ...{ process: shipping(what), store, checkpoints, deciders: { stock }, from: "start" },
      ...{ filter: { category: "order" }, retry: { attempts: 2, delay: 1 }, onError: () => {} },
    });
  const place = (at: number, pieces: number) =>
    store.saveEvent(events.OrderPlaced({ pieces }, { actorId: `order-${at}`, version: 1 }));
  await place(1, 1);
  await place(2, 3);
  {
    const manager = manage("misspelt");
    await using _run = new Run(manager);
    await until(async () => (await manager.parked()).length === 1);
    const [parked] = await manager.parked();
    assertEquals(parked!.id, "1");
    assertMatch(parked!.reason, /data\.what of "Became"/);
    await until(async () => (await manager.describe("2")).ended !== undefined);
  }
  {
    const manager = manage("taken");
    await using _run = new Run(manager);
    assert(await manager.retry("1"));
    await until(async () => (await manager.describe("1")).ended !== undefined);
    assertEquals((await manager.describe("1")).state, "taken");
    assertEquals((await manager.describe("2")).state, "refused");
  }
  const own = await typesOf(store, "process:shipping-1");
  assert(own.includes("CommandIssued") && own.includes("ProcessParked"), own.join());
  const [taken] = await store.getEvents<Event>("stock-pen");
  assertEquals(taken?.data, { pieces: 1, by: "anybody" });
});

Deno.test("an event that its constructor refuses is no refusal of the command", async () => {
  await using store = new InMemoryEventStore({ events });
  let most = 11;
  const deciders = {
    stock: { ...stock, decide: () => events.Taken({ pieces: most }) } as typeof stock,
  };
  await store.saveEvent(events.OrderPlaced({ pieces: 1 }, { actorId: "order-1", version: 1 }));
  const command = { commandId: "c", record: true };
  for (const _ of [1, 2]) {
    const failure = await execute(store, "stock-1", deciders.stock, { take: 1 }, command)
      .then(() => undefined, (error) => error);
    assertEquals(failure?.name, "InvalidEventError");
  }
  for (const together of [true, false]) {
    most = 11;
    const reactions = { commands: [{ actorId: "stock-2", command: { take: 1 } }], together };
    const react: Process<string, Placed, Became>["react"] = (_state, input) =>
      "kind" in input ? { done: true } : { ...reactions, done: together };
    const process = { ...shipping("taken"), name: `shipping${together}`, react };
    const errors: unknown[] = [];
    const manager = new ProcessManager<string, Placed, Became>({
      ...{ process, store, checkpoints: new InMemoryCheckpointStore(), deciders, from: "start" },
      ...{ filter: { category: "order" }, retry: { attempts: 2, delay: 1 } },
      onError: (error) => void errors.push(error),
    });
    await using _run = new Run(manager);
    // A reaction that decides its commands is parked; a command of its own is tried again.
    const isHeld = async () => !together || (await manager.parked()).length === 1;
    await until(async () => errors.length >= 2 && await isHeld());
    for (const error of errors) assertMatch(String(error), /data\.pieces of "Taken"/);
    most = 1;
    if (together) assert(await manager.retry("1"));
    await until(async () => (await manager.describe("1")).ended !== undefined);
  }
  const { duplicate } = await execute(store, "stock-1", deciders.stock, { take: 1 }, command);
  assertEquals(duplicate, false);
});

Deno.test("a reactor's events are checked; receipts and snapshots are kept as ever", async () => {
  await using store = new InMemoryEventStore({ events });
  const checkpoints = new InMemoryCheckpointStore();
  await store.saveEvent(events.OrderPlaced({ pieces: 2 }, { actorId: "order-1", version: 1 }));
  const reactor = new Reactor<Placed>({
    ...{ name: "taking", store, checkpoints, filter: { category: "order" }, from: "start" },
    react: ({ data }) => ({ actorId: "stock-1", command: { take: data.pieces }, decider: stock }),
    onError: () => {},
  });
  {
    await using _run = new Run(reactor);
    await until(async () => (await store.getLatestVersion("stock-1")) === 1);
  }
  const snapshots = {
    ...{ store: new InMemorySnapshotStore(), name: "stock", schemaVersion: 1, every: 2 },
  };
  await execute(store, "stock-1", stock, { take: 3 }, { commandId: "a", record: true })
    .catch(() => {});
  const { state } = await execute(store, "stock-1", stock, { take: 4 }, { snapshots });
  assertEquals(state, 6);
  assertEquals((await rehydrate(store, "stock-1", stock, { snapshots })).state, 6);
});

natsTest("a projection parks what a check of reads finds, and goes on", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using free = await JetStreamEventStore.open(connection, { namespace });
  const place = { actorId: "order-1", version: 1 };
  const sound = events.OrderPlaced({ pieces: 2 }, place);
  await free.saveEvent({ ...sound, data: { pieces: "2" } });
  await free.saveEvent({ ...sound, id: "b", actorId: "order-2" });
  await using store = await JetStreamEventStore.open(connection, { namespace, events });
  const seen: string[] = [];
  const projection = new Projection<undefined, ShopEvent>({
    ...{ name: "orders", store, checkpoints: new InMemoryCheckpointStore(), onPoison: "park" },
    ...{ retry: { attempts: 1 }, onError: () => {} },
    handler: ({ actorId }) => void seen.push(actorId),
  });
  await using _run = new Run(projection);
  await projection.caughtUp;
  assertEquals(seen, ["order-2"]);
  assertEquals((await projection.parked()).map(({ actorId }) => actorId), ["order-1"]);
});

natsTest("a node of a cluster checks the events of its commands", async (scene) => {
  const node = await join(
    scene,
    "a",
    { events },
    undefined,
    (cluster) =>
      cluster.handle(async (command, { actorId, store }) => {
        const parts = [{ actorId, decider: stock, command: command as { take: number } }] as const;
        const { state } = await execute(store, actorId, stock, parts[0].command);
        await executeAll(store, parts);
        await store.saveEvent({
          ...events.Taken({ pieces: 1 }, { actorId, version: 3 }),
          data: { pieces: 1 },
        });
        return state;
      }, { onDuplicate: () => undefined }),
  );
  await settled(node);
  const { namespace } = scene;
  await node.send("stock-1", { take: 1 });
  await using store = await JetStreamEventStore.open(await scene.connect(), {
    namespace,
    shards: QUICK.shards!,
  });
  const taken = { pieces: 1, by: "anybody" };
  const stored = await store.getEvents("stock-1");
  assertEquals(stored.map(({ data }) => data), [taken, taken, taken]);
  const failure = await node.send("stock-2", { take: 11 }).then(() => undefined, (error) => error);
  assertMatch(String(failure?.message), /data\.pieces of "Taken"/);
  await node.leave();
});
