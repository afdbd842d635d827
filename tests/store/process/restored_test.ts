/**
 * Reactors and processes after their stream was restored from a backup, and marked so.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type Decider,
  type Event,
  type EventStore,
  InMemoryCheckpointStore,
  JetStreamEventStore,
  markRestored,
  type Process,
  ProcessManager,
  Reactor,
} from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { place, Run, typesOf, until } from "./bed.ts";

const taking: Decider<number, number> = {
  initialState: () => 0,
  evolve: (count) => count + 1,
  decide: () => ({ eventType: "Taken", data: null }),
};

/** Orders that take something, and are asked whether they still want it. */
const process: Process<number, Event> = {
  name: "order",
  correlate: ({ actorId }) => actorId,
  initialState: () => 0,
  evolve: (count) => count + 1,
  react: (_count, input, { id }) =>
    "kind" in input ? {} : { commands: [{ actorId: `taken-${id}`, command: 1 }] },
};

natsTest(
  "resumeAt() handles nothing twice that the backup of a restored stream has",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    const checkpoints = new InMemoryCheckpointStore();
    const parts = { checkpoints, from: "start" as const, filter: { category: "order" } };
    const open = () => JetStreamEventStore.open(connection, { namespace });
    const reactorOf = (store: EventStore) =>
      new Reactor({
        ...{ ...parts, name: "stock", store, onError: () => {} },
        react: ({ actorId }) => ({ actorId: `stock-${actorId}`, command: 1, decider: taking }),
      });
    const managerOf = (store: EventStore) =>
      new ProcessManager({
        ...{ ...parts, process, store, deciders: { taken: taking }, onError: () => {} },
      });
    const handle = async (store: EventStore, ...orders: string[]) => {
      const manager = managerOf(store);
      await using reactor = new Run(reactorOf(store));
      await using _managing = new Run(manager);
      await reactor.of.caughtUp;
      await until(async () => {
        const all = await Promise.all(orders.map((order) => manager.describe(order)));
        return all.every((it) => it !== undefined && it.version > 0 && it.commands.length === 0);
      });
    };
    let first: number;
    {
      await using store = await open();
      ({ sequence: first } = await place(store, "order-1"));
      await handle(store, "order-1");
    }
    // Here an operator restores a backup that has all of this.
    await markRestored(connection, { namespace });
    await using store = await open();
    await reactorOf(store).resumeAt(first);
    await managerOf(store).resumeAt(first);
    await place(store, "order-2");
    await handle(store, "order-1", "order-2");
    for (const order of ["order-1", "order-2"]) {
      assertEquals(await typesOf(store, `stock-${order}`), ["Taken"]);
      assertEquals(await typesOf(store, `taken-${order}`), ["Taken"]);
    }
  },
);
