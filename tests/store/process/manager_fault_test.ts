/**
 * Processes over lost acks, cut connections and receivers that are out of reach.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ForwardingEventStore } from "../../../store/forwarding_store.ts";
import {
  type CheckpointStore,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
  ProcessManager,
  ProjectionLeases,
  type SavedCheckpoint,
  StoreUnavailableError,
} from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { place, Run, Stock, typesOf, until } from "./bed.ts";
import { manage, notes } from "./notes.ts";
import { orderProcess, targets } from "./order.ts";

natsTest(
  "processes take and send all once when acks are lost and connections cut",
  async (scene) => {
    const { namespace } = scene;
    const direct = await scene.connect();
    await using plain = await JetStreamEventStore.open(direct, { namespace });
    await execute(plain, "stock-pen", new Stock(), { add: 100 });
    const ids = Array.from({ length: 20 }, (_, at) => `${at}`);
    for (const id of ids) await place(plain, `order-${id}`);
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 2_000 });
    await using checkpoints = await KvCheckpointStore.open(direct, { namespace });
    const meal = proxy.eatAcks(8);
    const manager = new ProcessManager({
      ...{ process: orderProcess(), store, checkpoints, deciders: targets(), from: "start" },
      ...{ filter: { category: "order" }, partitions: 4, retry: { attempts: 1 } },
      onError: () => {},
    });
    await using _run = new Run(manager);
    await meal.done;
    for (let cuts = 0; cuts < 3; cuts++) {
      ids.push(`${20 + cuts}`);
      proxy.cutAtMessage(); // That is the event, or what it leads to.
      await place(plain, `order-${20 + cuts}`);
    }
    await until(async () => {
      const all = await Promise.all(ids.map((id) => manager.describe(id).catch(() => undefined)));
      return all.every((it) => it?.ended !== undefined && it.commands.length === 0);
    });
    assertEquals(await manager.parked(), []);
    assertEquals((await typesOf(plain, "stock-pen")).length, 24);
    for (const id of ids) assertEquals(await typesOf(plain, `payment-${id}`), ["Added"]);
  },
);

natsTest(
  "a manager that lost a partition without notice lets go of it, and ends",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    await using leases = await ProjectionLeases.open(connection, { namespace });
    await execute(store, "stock-pen", new Stock(), { add: 100 });
    const lost: unknown[] = [];
    let isAway = false;
    const shaky = {
      load: (key: string) =>
        isAway && key.endsWith(".control")
          ? Promise.reject(new StoreUnavailableError("Cannot load: it is away"))
          : checkpoints.load(key),
      save: checkpoints.save.bind(checkpoints),
    };
    const manager = new ProcessManager({
      ...{ process: orderProcess(), store, checkpoints: shaky, leases, deciders: targets() },
      from: "start",
      ...{ filter: { category: "order" }, partitions: 1 },
      onError: (error) => void lost.push(error),
    });
    await using _run = new Run(manager);
    const ended = (id: string) =>
      until(async () => (await manager.describe(id)).ended !== undefined);
    await place(store, "order-1");
    await ended("1");
    // As another process does that takes the partition for its own, in an outage.
    isAway = true;
    const key = "process=3Aorder=3Aagenda.1.0";
    await until(async () => {
      const { revision = 0, body = "" } = await checkpoints.load(key) ?? {};
      const taken = JSON.stringify({ ...JSON.parse(body), owner: crypto.randomUUID() });
      return await checkpoints.save(key, { revision: revision + 1, body: taken });
    });
    await place(store, "order-2");
    const isOfOutage = (error: unknown) => isAetherError(error, "StoreUnavailableError");
    await until(() => lost.filter(isOfOutage).length > 5);
    isAway = false;
    await until(() => lost.some((error) => isAetherError(error, "CheckpointConflictError")));
    await ended("2");
  },
);

Deno.test("processes take and send all once when their checkpoints are set back", async () => {
  await using store = new InMemoryEventStore();
  await execute(store, "stock-pen", new Stock(), { add: 100 });
  let saved = new Map<string, SavedCheckpoint>();
  const checkpoints: CheckpointStore = {
    load: (key) => Promise.resolve(saved.get(key)),
    save: (key, next) => {
      const isNext = (saved.get(key)?.revision ?? 0) === next.revision - 1;
      if (isNext) saved.set(key, next);
      return Promise.resolve(isNext);
    },
  };
  const lost: number[] = [];
  const manager = new ProcessManager({
    ...{ process: orderProcess(), store, checkpoints, deciders: targets(), from: "start" },
    ...{ filter: { category: "order" }, partitions: 4 },
    onError: (error) => isAetherError(error, "CheckpointConflictError") && lost.push(error.lost),
  });
  await using _run = new Run(manager);
  const handle = async (ids: readonly number[]) => {
    for (const id of ids) await place(store, `order-${id}`);
    for (const id of ids) {
      await until(async () => (await manager.describe(`${id}`)).ended !== undefined);
    }
  };
  await handle([1, 2, 3, 4, 5]);
  const before = new Map(saved);
  await handle([6, 7, 8, 9]);
  saved = before; // as after a restore of the database that keeps them
  await handle([10, 11, 12]);
  assert(lost.length > 0 && lost.every((saves) => saves > 0), lost.join());
  assertEquals((await typesOf(store, "stock-pen")).length, 13);
  for (let id = 1; id <= 12; id++) assertEquals(await typesOf(store, `payment-${id}`), ["Added"]);
});

/** Never settles. */
const NEVER = new Promise<never>(() => {});

Deno.test("a checkpoint store that never answers holds up no stop of a manager", async () => {
  const records = [["load", "agenda.1.0.head"], ["save", "agenda.1.0.head"]] as const;
  const all = [...records, ["load", "parked"] as const, ["save", "parked"] as const];
  await Promise.all(all.map(async ([call, record]) => {
    await using store = new InMemoryEventStore();
    const inner = new InMemoryCheckpointStore();
    const hung = Promise.withResolvers<void>();
    const answer = <T>(method: typeof call, key: string, answer: () => Promise<T>): Promise<T> => {
      if (method !== call || !key.endsWith(record)) return answer();
      hung.resolve();
      return NEVER;
    };
    const checkpoints: CheckpointStore = {
      load: (key) => answer("load", key, () => inner.load(key)),
      save: (key, saved) => answer("save", key, () => inner.save(key, saved)),
    };
    const process = notes({
      react: () => {
        if (record === "parked") throw new Error("no reaction");
        return { commands: [{ actorId: "x-1", command: 1 }] };
      },
    });
    const sent = Promise.withResolvers<void>();
    const send = () => Promise.resolve(sent.resolve());
    const run = new Run(manage({ store, checkpoints }, { process, partitions: 1, send }));
    await place(store, "order-1");
    // The index is saved at the end.
    await (record === "parked" || call === "load" ? hung : sent).promise;
    await run[Symbol.asyncDispose]();
  }));
});

Deno.test("a store that never answers holds up no retry that is given up", async () => {
  await using memory = new InMemoryEventStore();
  const store = new ForwardingEventStore(memory);
  const process = notes({
    react: () => {
      throw new Error("no reaction");
    },
  });
  await place(memory, "order-1");
  const checkpoints = new InMemoryCheckpointStore();
  await using run = new Run(manage({ store, checkpoints }, { process }));
  await until(async () => (await run.of.parked()).length === 1);
  store.readEvents = () => ({ [Symbol.asyncIterator]: () => ({ next: () => NEVER }) });
  const signal = AbortSignal.abort(new Error("given up"));
  await assertRejects(() => run.of.retry("all", { signal }), Error, "given up");
});

natsTest("a process says what it waits for while a receiver is out of reach", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
  await execute(store, "stock-pen", new Stock(), { add: 100 });
  await place(store, "order-1");
  let tries = 0;
  let isThere = false;
  const manager = new ProcessManager({
    ...{ process: orderProcess(), store, checkpoints, from: "start" },
    ...{ filter: { category: "order" }, retry: { attempts: 1, delay: 1 } },
    onError: () => {},
    deciders: { stock: new Stock() },
    send: async (actorId, command, facts) => {
      tries++;
      if (!isThere) throw tries % 2 ? new StoreUnavailableError("away") : new Error("nobody home");
      await execute(store, actorId, new Stock(), command as { add: number }, facts);
    },
  });
  await using _run = new Run(manager);
  await until(() => tries >= 3);
  const { commands, parked, ended } = await manager.describe("1");
  assertEquals([commands.map(({ actorId }) => actorId), parked, ended], [
    ["payment-1"],
    undefined,
    undefined,
  ]);
  assert(commands[0]!.since.getTime() <= Date.now());
  isThere = true;
  await until(async () => (await manager.describe("1")).ended !== undefined);
  assertEquals((await manager.describe("1")).state?.what, "paid by 1");
});
