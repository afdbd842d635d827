/**
 * A connection that is closed for good, under everything that may wait for a server.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  createEvent,
  execute,
  isAetherError,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  KvCheckpointStore,
  ProcessManager,
  Projection,
  Reactor,
  verify,
} from "../../../mod.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

/** Far longer than the test: nothing may end for its timeout. */
const timeout = 60_000;

async function waitsOf(scene: Scene) {
  const { namespace } = scene;
  // The server drops what such a connection leaves behind.
  const connection = await scene.connect();
  const store = await JetStreamEventStore.open(connection, { namespace, timeout });
  const checkpoints = await KvCheckpointStore.open(connection, { namespace, timeout });
  const kept = await JetStreamSnapshotStore.open(connection, { namespace, timeout });
  const event = (actorId: string, version = 1) =>
    createEvent({ eventType: "T", actorId, version, data: null });
  await store.saveEvents([event("a-1", 1), event("a-1", 2)]);
  const counter = {
    initialState: () => 0,
    evolve: (count: number) => count + 1,
    decide: () => ({ eventType: "T", data: null }),
  };
  const parts = { store, checkpoints, onError: () => {}, from: "start" } as const;
  const projection = (name: string) => new Projection({ ...parts, name, handler: () => {} });
  const reactor = () => new Reactor({ ...parts, name: "r", react: () => undefined });
  const manager = (name: string) =>
    new ProcessManager({
      ...parts,
      filter: { category: "a" },
      process: {
        ...{ name, correlate: () => "1", initialState: () => 0, evolve: (count: number) => count },
        react: (_state, _input, { now }) => ({
          deadlines: { later: new Date(now.getTime() + timeout) },
        }),
      },
    });
  const snapshot = { actorId: "a-1", name: "n", version: 1, schemaVersion: 1, state: 1 };
  const drain = async (events: AsyncIterable<unknown>) => {
    for await (const _event of events);
  };
  const waits: Record<string, () => PromiseLike<unknown>> = {
    "saveEvent()": () => store.saveEvent(event("b-1")),
    "saveEvents()": () => store.saveEvents([event("c-1"), event("d-1")]),
    "execute()": () => execute(store, "e-1", counter, 0, { timeout }),
    "getEvents()": () => store.getEvents("a-1"),
    "readAll()": () => drain(store.readAll()),
    "getLatestVersion()": () => store.getLatestVersion("f-1"),
    "listActors()": () => drain(store.listActors()),
    "subscribe()": () => drain(store.subscribe()),
    "caughtUp of a subscription": () => store.subscribe().caughtUp,
    "verify()": () => verify(store),
    "saveSnapshot()": () => kept.saveSnapshot({ ...snapshot, timestamp: new Date() }),
    "lag()": () => projection("p").lag(),
    "pause()": () => projection("p").pause(),
    "unpark()": () => projection("p").unpark("a-1"),
    "rebuild()": () => projection("p").rebuild(),
    "run() of a projection": () => projection("q").run(),
    "caughtUp of a projection": () => projection("p").caughtUp,
    "run() of a reactor": () => reactor().run(),
    "run() of a manager": () => manager("m").run(),
    "retry()": () => manager("n").retry("1"),
    "end()": () => manager("n").end("1"),
    "describe()": () => manager("n").describe("1"),
  };
  return { connection, waits };
}

natsTest("a closed connection ends every wait, though the server hangs", async (scene) => {
  const { connection, waits } = await waitsOf(scene);
  await scene.server.pause();
  const ends = new Map<string, unknown>();
  const all = Object.entries(waits).map(async ([name, wait]) => {
    try {
      await wait();
      ends.set(name, undefined);
    } catch (error) {
      ends.set(name, error);
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals([...ends.keys()], [], "All of them wait");
  connection.close().catch(() => {});
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, 5_000);
  await Promise.race([Promise.all(all), late]);
  clearTimeout(timer);
  await scene.server.resume();
  const waiting = Object.keys(waits).filter((name) => !ends.has(name));
  assertEquals(waiting, []);
  for (const [name, error] of ends) {
    const isTold = isAetherError(error, "StoreUnavailableError") ||
      isAetherError(error, "SaveOutcomeUnknownError");
    assert(isTold, `${name} ended with ${error}`);
  }
});
