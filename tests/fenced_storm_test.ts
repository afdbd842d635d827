import { assert } from "@std/assert";
import { type Event, FencedError } from "../store/mod.ts";
import type { FencedEventStore } from "../cluster/fenced_store.ts";
import { fact, type Outcome, settled } from "./fault.ts";
import { assertFenced, counts, type Node, nodeOf, tryToSave } from "./fenced_bed.ts";
import { clusterTest, natsTest } from "./fixture.ts";
import { seededRandom } from "./proxy.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

/** What a storm is made of. */
function storm(title: string, options: { replicas: number }, test: typeof natsTest): void {
  test(title, async (scene) => {
    const proxies = [0, 1, 2].map(() => scene.proxy());
    const direct = await scene.connect();
    await using stack = new AsyncDisposableStack();
    const nodes: Node[] = [];
    for (const [at, proxy] of proxies.entries()) {
      const connection = await scene.connect({ servers: proxy.url });
      const init = { connection, timeout: 4_000, shards: 8, ...options };
      nodes.push(stack.use(await nodeOf(scene, `node-${at}`, init)));
    }
    const random = seededRandom(11);
    const pick = (count: number) => Math.floor(random() * count);
    for (const proxy of proxies) proxy.eatAcksWhere(() => random() < 0.05);
    const outcomes: Outcome[] = [];
    let over = false;
    const writing = nodes.flatMap(({ store }, seat) =>
      [...Array(6).keys()].map(async (at) => {
        while (!over) {
          const actors = [pick(20), pick(20)].slice(0, at % 3 === 0 ? 2 : 1);
          const ids = [...new Set(actors.map((actor) => `order-${actor}`))]
            .filter((actorId) => store.owns(store.shardOf(actorId)));
          if (ids.length === 0) {
            await new Promise((resolve) => setTimeout(resolve));
            continue;
          }
          outcomes.push(await tryToSave(store, await nextOf(store, ids, seat)));
        }
      })
    );
    const moves = LONG ? 1_000 : 40;
    for (let mapVersion = 1; mapVersion <= moves; mapVersion++) {
      const { store } = nodes[pick(3)]!;
      await store.claim(pick(8), mapVersion).catch((error) => {
        if (!(error instanceof FencedError) && error.name !== "StoreUnavailableError") throw error;
      });
      const goal = outcomes.length + 10;
      for (const until = performance.now() + 2_000; outcomes.length < goal;) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (performance.now() > until) break; // Nobody owns anything yet.
      }
    }
    over = true;
    await Promise.all(writing);
    const found = counts(outcomes);
    assert(found.saved! > moves && found.fenced! > 0, JSON.stringify(found));
    for (const outcome of outcomes) {
      if (outcome.kind !== "unknown") continue;
      for (const deadline = performance.now() + 20_000;;) {
        if (await settled(outcome) !== "open" || performance.now() > deadline) break;
      }
    }
    await assertFenced(direct, nodes[0]!.store, outcomes);
  });
}

/** The next events of actors, by what the node knows: others may be faster. */
async function nextOf(
  store: FencedEventStore,
  actors: readonly string[],
  seat: number,
): Promise<Event[]> {
  const versions = await Promise.all(
    actors.map((actorId) => store.getLatestVersion(actorId).catch(() => 0)),
  );
  return actors.flatMap((actorId, at) => {
    const version = versions[at]! + 1;
    const more = seat === 0 ? [fact(actorId, version + 1)] : [];
    return [fact(actorId, version), ...more];
  });
}

storm(
  "A storm of claims: between two fences only the first one's owner writes",
  { replicas: 1 },
  natsTest,
);

storm(
  "A storm of claims on replicas: between two fences only the first one's owner writes",
  { replicas: 3 },
  clusterTest as typeof natsTest,
);
