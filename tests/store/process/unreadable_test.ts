/**
 * Reactors and processes over events that cannot be read, and messages that are none.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
  ProcessManager,
  type ProcessReaction,
  Reactor,
  type Upcaster,
} from "../../../mod.ts";
import { Layout } from "../../../store/format/layout.ts";
import { asStreamSequence, positionOf } from "../../../store/format/position.ts";
import { projectionsOf } from "../../../store/process/manager.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { place, Run, typesOf, until } from "./bed.ts";

const broken: Upcaster = () => {
  throw new Error("broken");
};

/** Opens a store on which a reactor and a manager turn each order into one event of their own. */
async function bed(scene: Scene, upcasters: Record<string, Upcaster[]>) {
  const { namespace } = scene;
  const connection = await scene.connect();
  const store = await JetStreamEventStore.open(connection, { namespace, upcasters });
  const decider = {
    initialState: () => 0,
    evolve: (count: number) => count + 1,
    decide: () => ({ eventType: "Done", data: null }),
  };
  const shared = {
    store,
    from: "start",
    filter: { category: "order" },
    onError: () => {},
  } as const;
  const retry = { attempts: 2, delay: 1 };
  const reactor = (checkpoints: InMemoryCheckpointStore) =>
    new Reactor({
      ...{ ...shared, name: "r", checkpoints, retry },
      react: ({ actorId }) => ({ actorId: `reacted-${actorId}`, command: 1, decider }),
    });
  const note = (_count: number, _input: object): ProcessReaction => ({
    facts: [{ eventType: "Done", data: null }],
  });
  const manager = (
    checkpoints: InMemoryCheckpointStore,
    onPoison: "halt" | "park" = "park",
    react = note,
  ) =>
    new ProcessManager({
      ...{ ...shared, checkpoints, retry, onPoison, deciders: { target: decider } },
      process: {
        name: "p",
        correlate: ({ actorId }) => actorId,
        initialState: () => 0,
        evolve: (count: number) => count + 1,
        react,
      },
    });
  return {
    store,
    connection,
    reactor,
    manager,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

natsTest("an event that cannot be read waits with its actor, and no other", async (scene) => {
  const upcasters: Record<string, Upcaster[]> = {};
  await using own = await bed(scene, upcasters);
  const { store } = own;
  await place(store, "order-1");
  upcasters.OrderPlaced = [broken];
  const checkpoints = new InMemoryCheckpointStore();
  await using reacting = new Run(own.reactor(checkpoints));
  await using managing = new Run(own.manager(checkpoints));
  await Promise.all([reacting.of.caughtUp, managing.of.caughtUp]);
  assertEquals((await reacting.of.parked()).map(({ actorId }) => actorId), ["order-1"]);
  assertEquals((await managing.of.parkedActors()).map(({ actorId }) => actorId), ["order-1"]);
  assertEquals(await managing.of.unpark("order-1"), false);
  // The control: without parking, the manager ends there.
  const error = await new Run(own.manager(new InMemoryCheckpointStore(), "halt")).end;
  assert(isAetherError(error, "CorruptEventError") && error.event?.actorId === "order-1");
  upcasters.OrderPlaced = [(data) => data];
  assertEquals(await reacting.of.unpark("order-1"), true);
  assertEquals(await managing.of.unpark("order-1"), true);
  await until(async () => (await typesOf(store, "process:p-order-1")).length > 0);
  assertEquals(await typesOf(store, "reacted-order-1"), ["Done"]);
  assertEquals(await typesOf(store, "process:p-order-1"), ["Done"]);
});

natsTest("a message of no actor ends them, until it is skipped on purpose", async (scene) => {
  await using own = await bed(scene, {});
  const { store, connection } = own;
  await place(store, "order-1");
  const subject = new Layout(scene.namespace).event("order-1", store.shards);
  const foreign = subject.replace(/order-1$/, "=ZZ");
  const { seq } = (await connection.request(foreign, "?")).json<{ seq: number }>();
  const sequence = positionOf(asStreamSequence(seq));
  await place(store, "order-2");
  const checkpoints = new InMemoryCheckpointStore();
  for (const open of [own.reactor, own.manager] as const) {
    const first = new Run<Reactor | ProcessManager<number>>(open(checkpoints));
    const error = await first.end;
    assert(isAetherError(error, "CorruptEventError") && error.sequence === sequence);
    await first.of.skip(sequence);
    await using again = new Run<Reactor | ProcessManager<number>>(open(checkpoints));
    await again.of.caughtUp;
  }
  assertEquals(await typesOf(store, "reacted-order-2"), ["Done"]);
  assertEquals(await typesOf(store, "process:p-order-2"), ["Done"]);
});

natsTest(
  "a message of no actor among the histories of processes can be skipped too",
  async (scene) => {
    await using own = await bed(scene, {});
    const { store, connection } = own;
    await place(store, "order-1");
    const subject = new Layout(scene.namespace).event("process:p-order-1", store.shards);
    const foreign = subject.replace(/[^.]+$/, "=ZZ");
    const { seq } = (await connection.request(foreign, "?")).json<{ seq: number }>();
    const sequence = positionOf(asStreamSequence(seq));
    const checkpoints = new InMemoryCheckpointStore();
    const first = new Run<ProcessManager<number>>(own.manager(checkpoints));
    const error = await first.end;
    assert(isAetherError(error, "CorruptEventError") && error.sequence === sequence);
    await assertRejects(() => first.of.skip(sequence + 1), RangeError, "there is no message");
    await first.of.skip(sequence);
    await using again = new Run<ProcessManager<number>>(own.manager(checkpoints));
    await Promise.all(projectionsOf(again.of)!.map((projection) => projection.caughtUp));
    assertEquals(await typesOf(store, "process:p-order-1"), ["Done"]);
  },
);

natsTest(
  "a manager that takes its work over again passes over a message that was skipped",
  async (scene) => {
    await using own = await bed(scene, {});
    const { store, connection } = own;
    const checkpoints = new InMemoryCheckpointStore();
    const react = (_count: number, input: object): ProcessReaction =>
      "kind" in input ? {} : { commands: [{ actorId: "target-1", command: 1 }] };
    const begin = (reacts?: typeof react) =>
      new Run<ProcessManager<number>>(own.manager(checkpoints, "park", reacts));
    const subject = new Layout(scene.namespace).event("process:p-order-1", store.shards);
    const foreign = subject.replace(/[^.]+$/, "=ZZ");
    const { seq } = (await connection.request(foreign, "?")).json<{ seq: number }>();
    const first = begin();
    await first.end;
    await first.of.skip(positionOf(asStreamSequence(seq)));
    {
      await using noting = begin();
      await place(store, "order-1");
      await until(async () => (await typesOf(store, "process:p-order-1")).length > 0);
      await Promise.all(projectionsOf(noting.of)!.map((projection) => projection.caughtUp));
    }
    // It has issued nothing, so there is no index: the next one reads from the beginning.
    await using _sending = begin(react);
    await place(store, "order-1", 2);
    await until(async () => (await typesOf(store, "process:p-order-1")).length === 3);
    assertEquals(await typesOf(store, "target-1"), ["Done"]);
  },
);
