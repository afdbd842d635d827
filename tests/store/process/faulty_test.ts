/**
 * Reactors, processes, joint decisions and projections over a connection that loses, delays and
 * doubles messages, by a seed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  execute,
  executeAll,
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
  Reactor,
  type RecordedEvent,
  verify,
} from "../../../mod.ts";
import { faultyConnection } from "../../../testing/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { place, Run, Stock, typesOf } from "./bed.ts";

const HARM = { loseAck: 0.05, drop: 0.05, double: 0.1, delay: 0.1 } as const;
const ORDERS = Array.from({ length: 10 }, (_, at) => `order-${at}`);

for (const seed of [1, 2, 3]) {
  natsTest(
    `each command and each joint decision has its events once over a faulty connection, seed ${seed}`,
    async (scene) => {
      const { namespace } = scene;
      const direct = await scene.connect();
      await using plain = await JetStreamEventStore.open(direct, { namespace });
      for (const sku of ["pen", "pad", "ink"]) {
        await execute(plain, `stock-${sku}`, new Stock(), { add: 100 });
      }
      const faulty = faultyConnection(await scene.connect(), {
        ...{ seed, ...HARM },
        only: (subject) => subject.startsWith("aether."),
      });
      const store = await JetStreamEventStore.open(faulty, { namespace, timeout: 2_000 });
      await using checkpoints = await KvCheckpointStore.open(direct, { namespace });
      {
        await using run = new Run(
          new Reactor({
            ...{ name: "reserve", store, checkpoints, from: "start", partitions: 2 },
            filter: { category: "order" },
            onError: () => {}, // Outages are told; what comes of them is looked at below.
            react: () => ({ actorId: "stock-pen", decider: new Stock(), command: { take: 1 } }),
          }),
        );
        const joint = ORDERS.map(async (id) => {
          const parts = ["pad", "ink"].map((sku) => ({
            ...{ actorId: `stock-${sku}`, decider: new Stock(), command: { take: 1 } },
          }));
          await executeAll(store, parts, { commandId: `joint-${id}`, timeout: 60_000 });
        });
        for (const id of ORDERS) await place(plain, id);
        await Promise.all(joint);
        await run.of.caughtUp;
        assertEquals(await run.of.parked(), []);
      }
      const seen: string[] = [];
      await using projection = new Projection({
        ...{ name: "seen", store, checkpoints, onError: () => {} },
        handler: ({ actorId, version }: RecordedEvent) => void seen.push(`${actorId} ${version}`),
      });
      const running = projection.run();
      await Promise.race([projection.caughtUp, running]);
      await projection[Symbol.asyncDispose]();
      await running;
      faulty.calm();
      assert(faulty.faults.length > 0);
      await store[Symbol.asyncDispose]();
      for (const sku of ["pen", "pad", "ink"]) {
        assertEquals((await typesOf(plain, `stock-${sku}`)).length, 1 + ORDERS.length, sku);
      }
      const stored = await Array.fromAsync(plain.readAll());
      assertEquals(seen, stored.map(({ actorId, version }) => `${actorId} ${version}`));
      assertEquals(
        (await verify(plain, { projections: [{ name: "seen", checkpoints }] })).problems,
        [],
      );
    },
    { leakCheck: false }, // Held messages may still make consumers that nobody uses.
  );
}
