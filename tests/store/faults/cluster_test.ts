import { assert, assertEquals } from "@std/assert";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { assertTruthful, fact, settled, storedIn, tally } from "../../support/fault.ts";
import { Load } from "../../support/fault_load.ts";
import { type ClusterScene, clusterTest } from "../../support/fixture.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

/** A store on each of the three servers. */
async function openAll(scene: ClusterScene, timeout = 20_000): Promise<JetStreamEventStore[]> {
  const { namespace } = scene;
  const stores: JetStreamEventStore[] = [];
  for (const { url } of scene.servers) {
    // One that loses its server goes to another, as a client in production does.
    const servers = [url, ...scene.servers.map((server) => server.url)];
    const connection = await scene.connect({ servers, noRandomize: true });
    stores.push(
      await JetStreamEventStore.open(connection, { namespace, replicas: 3, timeout }),
    );
  }
  return stores;
}

async function dispose(stores: readonly JetStreamEventStore[]): Promise<void> {
  for (const store of stores) await store[Symbol.asyncDispose]();
}

clusterTest("Reads right after writes, from all servers: none short, none stale", async (scene) => {
  const stores = await openAll(scene);
  const rounds = LONG ? 2_000 : 150;
  await Promise.all(stores.map(async (store, at) => {
    const actorId = `order-${at}`;
    for (let version = 1; version <= rounds; version++) {
      await store.saveEvent(fact(actorId, version));
      const from = version % 10 === 0 ? 1 : version;
      const events = await store.getEvents(actorId, from);
      assertEquals(events.length, version - from + 1, `Version ${version}, read from ${from}`);
      assertEquals(await store.getLatestVersion(actorId, { fresh: true }), version);
    }
  }));
  const stored = await storedIn(await scene.connect(), stores[0]!.stream);
  assertEquals(stored.length, rounds * 3);
  await dispose(stores);
});

clusterTest("Events saved and reported by one store are read by another", async (scene) => {
  const [one, two, three] = await openAll(scene);
  for (let version = 1; version <= 100; version++) {
    await one!.saveEvent(fact("order-1", version));
    // A store that has heard of nothing may lag; a save of its own decides.
    const versions = await Promise.all(
      [two!, three!].map((store) => store.getLatestVersion("order-1", { fresh: true })),
    );
    assertEquals(versions, [version, version]);
  }
  await dispose([one!, two!, three!]);
});

clusterTest(
  "The leader killed, stepping down and restarted under load: all reports are true",
  async (scene) => {
    const { cluster } = scene;
    const stores = await openAll(scene);
    const { stream } = stores[0]!;
    const connection = await scene.connect();
    const load = new Load(stores, 12);
    await load.further(50);
    for (let round = 0; round < 3; round++) {
      await connection.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, "{}", {
        timeout: 5_000,
      });
      await load.further(100);
    }
    const killed = await cluster.leaderOf(stream);
    await killed.kill();
    await load.further(100);
    await killed.restart();
    await cluster.waitHealthy();
    await load.further(100);
    const outcomes = await load.stop();
    assertEquals(tally(outcomes), { saved: outcomes.length });
    assertTruthful(outcomes, await storedIn(await scene.connect(), stream));
    await dispose(stores);
  },
);

clusterTest(
  "A frozen leader that comes back shows nothing outdated as the truth",
  async (scene) => {
    const { cluster } = scene;
    const stores = await openAll(scene, 3_000);
    const { stream } = stores[0]!;
    const load = new Load(stores, 9);
    await load.further(60);
    const reads = new Reads(stores, load);
    for (let round = 0; round < 2; round++) {
      const frozen = await cluster.leaderOf(stream);
      await frozen.pause();
      const next = await cluster.leaderOf(stream);
      assert(next !== frozen);
      await load.further(60);
      frozen.resume();
      await load.further(60);
      await cluster.waitHealthy();
    }
    await reads.stop();
    const outcomes = await load.stop();
    const stored = await storedIn(await scene.connect(), stream);
    assertTruthful(outcomes, stored);
    for (const outcome of outcomes.filter(({ kind }) => kind === "unknown")) {
      const isStored = stored.some(({ id }) => id === outcome.events[0]!.id);
      assertEquals(await settled(outcome), isStored ? "saved" : "not-saved");
    }
    await dispose(stores);
  },
);

/** Reads the saves of a load's stores, all the time: never less than the stores reported. */
class Reads {
  readonly #work: Promise<void>;
  #stopped = false;

  constructor(stores: readonly JetStreamEventStore[], load: Load) {
    this.#work = Promise.all(stores.map(async (store, at) => {
      while (!this.#stopped) {
        for (let actor = at; actor < load.actors; actor += stores.length) {
          const told = load.versionOf(actor);
          try {
            const events = await store.getEvents(`order-${actor}`, told);
            const first = events[0]?.version;
            assertEquals(first, told === 0 ? first : told, `The read of order-${actor}`);
            const version = await store.getLatestVersion(`order-${actor}`, { fresh: true });
            assert(version >= told, `order-${actor} is at ${version}, though ${told} was told`);
          } catch (error) {
            if (!isAetherError(error, "StoreUnavailableError")) throw error;
          }
        }
      }
    })).then(() => {});
  }

  /** Ends the reads; rejects if one was wrong. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }
}
