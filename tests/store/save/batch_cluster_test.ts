import { assert, assertEquals } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { hammer } from "./batch_hammer.ts";
import { assertTruthful, type Outcome, settled, storedIn, tally } from "../../support/fault.ts";
import { type ClusterScene, clusterTest } from "../../support/fixture.ts";
import { assertGuarded } from "./guard_check.ts";

const ROUNDS = Deno.env.get("AETHER_LONG") === undefined ? 1 : 4;

/** Saves of all kinds from all servers, while `fault` does harm; then checks all reports. */
async function withstand(
  scene: ClusterScene,
  timeout: number,
  fault: (stream: string) => Promise<void>,
): Promise<void> {
  const { namespace } = scene;
  const stores: JetStreamEventStore[] = [];
  for (const { url } of scene.servers) {
    const servers = [url, ...scene.servers.map((server) => server.url)];
    const connection = await scene.connect({ servers, noRandomize: true });
    stores.push(await JetStreamEventStore.open(connection, { namespace, replicas: 3, timeout }));
  }
  const { stream } = stores[0]!;
  const { random } = Math;
  const saves = await hammer(stores, { rounds: 1, random, actors: 4 });
  for (let round = 0; round < ROUNDS; round++) {
    const harm = fault(stream);
    let done = false;
    const finish = harm.finally(() => done = true);
    while (!done) saves.push(...await hammer(stores, { rounds: 1, random, actors: 4 }));
    await finish;
    await scene.cluster.waitHealthy();
  }
  saves.push(...await hammer(stores, { rounds: 1, random, actors: 4 }));
  const outcomes = saves.map(({ outcome }) => outcome);
  const kinds = tally(outcomes);
  assert(kinds.saved! > 0 && kinds.conflict! > 0, JSON.stringify(kinds));
  const fates = new Map<Outcome, string>();
  for (const outcome of outcomes) {
    if (outcome.kind === "unknown") fates.set(outcome, await settled(outcome));
  }
  const stored = await storedIn(await scene.connect(), stream);
  assertTruthful(outcomes, stored);
  assertGuarded(saves, stored);
  const ids = new Set(stored.map(({ id }) => id));
  for (const [{ events }, outcome] of fates) {
    if (outcome !== "unknown") {
      assertEquals(outcome, ids.has(events[0]!.id) ? "saved" : "not-saved");
    }
  }
  for (const store of stores) await store[Symbol.asyncDispose]();
}

clusterTest("Leaders step down under queues of all kinds: all reports are true", async (scene) => {
  const connection = await scene.connect();
  await withstand(scene, 10_000, async (stream) => {
    for (let round = 0; round < 5; round++) {
      await connection.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, "{}", {
        timeout: 5_000,
      });
      await scene.cluster.leaderOf(stream);
    }
  });
});

clusterTest(
  "The leader is killed under queues of all kinds: all reports are true",
  async (scene) => {
    const { cluster } = scene;
    await withstand(scene, 10_000, async (stream) => {
      const leader = await cluster.leaderOf(stream);
      await leader.kill();
      await cluster.leaderOf(stream);
      await leader.restart();
    });
  },
);

clusterTest(
  "The leader is frozen past the deadline under queues of all kinds: all reports are true",
  async (scene) => {
    const { cluster } = scene;
    await withstand(scene, 2_000, async (stream) => {
      const leader = await cluster.leaderOf(stream);
      await leader.pause();
      await cluster.leaderOf(stream);
      leader.resume();
    });
  },
);
