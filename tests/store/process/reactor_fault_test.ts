/**
 * Reactors over lost acks and outages.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  appendEvents,
  CommandCrashedOwnersError,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  JetStreamEventStore,
  KvCheckpointStore,
  Reactor,
} from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { place, Run, Stock, typesOf } from "./bed.ts";

const STOCK = "stock-pen";

Deno.test("a command that crashes its owners is not tried again before its event is unparked", async () => {
  await using store = new InMemoryEventStore();
  let tries = 0;
  const reactor = new Reactor({
    ...{ name: "deadly", store, checkpoints: new InMemoryCheckpointStore(), from: "start" },
    ...{ filter: { category: "order" }, retry: { attempts: 3, delay: 1 }, onError: () => {} },
    react: () => ({ actorId: "x-1", command: null }),
    send: (actorId, _command, { commandId }) => {
      if (++tries > 1) return Promise.resolve();
      throw new CommandCrashedOwnersError(commandId, actorId, ["one", "two"]);
    },
  });
  await using run = new Run(reactor);
  await place(store, "order-1");
  await run.of.caughtUp;
  assertEquals([tries, (await reactor.parked()).length], [1, 1]);
  assertEquals(await reactor.unpark("order-1"), true);
  assertEquals(tries, 2);
});

natsTest("a command has its events once when acks are lost and connections cut", async (scene) => {
  const { namespace } = scene;
  const direct = await scene.connect();
  await using plain = await JetStreamEventStore.open(direct, { namespace });
  await execute(plain, STOCK, new Stock(), { add: 100 });
  for (let at = 0; at < 20; at++) await place(plain, `order-${at}`);
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 2_000 });
  await using checkpoints = await KvCheckpointStore.open(direct, { namespace });
  proxy.eatAcks(5);
  await using run = new Run(
    new Reactor({
      ...{ name: "reserve", store, checkpoints, from: "start", partitions: 4 },
      filter: { category: "order" },
      retry: { attempts: 1 },
      onError: () => {},
      react: ({ actorId }) => {
        if (actorId === "order-7") proxy.cutAtMessage();
        return { actorId: STOCK, decider: new Stock(), command: { take: 1 } };
      },
    }),
  );
  await run.of.caughtUp;
  assertEquals(await run.of.parked(), []);
  assertEquals((await typesOf(plain, STOCK)).length, 21);
});

natsTest(
  "it waits for as long as the receiver is out of reach, and parks nothing",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    const proxy = scene.proxy();
    const far = await scene.connect({ servers: proxy.url });
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await using there = await JetStreamEventStore.open(far, {
      namespace: `${namespace}-there`,
      timeout: 1_000,
    });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    await appendEvents(there, STOCK, 0, [{ eventType: "Added", data: { pieces: 9 } }]);
    await place(store, "order-1");
    proxy.refusing = true;
    proxy.cut();
    let failures = 0;
    const tried = Promise.withResolvers<void>();
    await using run = new Run(
      new Reactor({
        ...{ name: "reserve", store, checkpoints, from: "start" },
        filter: { category: "order" },
        retry: { attempts: 1 },
        onError: () => ++failures === 4 && tried.resolve(),
        react: () => ({ actorId: STOCK, command: { take: 1 } }),
        // A cause of another store is no bound of the search.
        send: (actorId, command, facts) =>
          execute(there, actorId, new Stock(), command as { take: number }, facts),
      }),
    );
    await tried.promise;
    assertEquals(await run.of.parked(), []);
    proxy.refusing = false;
    await run.of.caughtUp;
    assertEquals(await typesOf(there, STOCK), ["Added", "Taken"]);
  },
);
