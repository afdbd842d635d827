import { assert, assertEquals } from "@std/assert";
import type { Cluster } from "../../cluster/cluster.ts";
import { LEADER_KEY } from "../../cluster/election/leader_key.ts";
import { MAP_KEY } from "../../cluster/sharding/shard_coordinator.ts";
import { clusterBucket, VIEW_KEY } from "../../cluster/subjects.ts";
import { Discovery, Election } from "../../cluster/mod.ts";
import { FencedEventStore } from "../../store/fencing/fenced_store.ts";
import { Bucket } from "../../store/kv/bucket.ts";
import { natsTest, type Scene } from "../support/fixture.ts";
import { join, QUICK, settled } from "./bed.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const encoder = new TextEncoder();

/** What is neither a view nor a map nor a claim, and what is one that nobody could have written. */
const DAMAGED = [
  "",
  "{",
  "null",
  "[]",
  "7",
  '{"hello":"world"}',
  '{"format":1,"version":-1}',
  '{"format":1,"version":9007199254740991,"members":[],"departed":[],"owners":[],"shards":[]}',
  '{"format":0,"version":1}',
  "\u0000\ufffd",
];

async function overwrite(scene: Scene, key: string, text: string): Promise<void> {
  const bucket = await Bucket.open(await scene.connect(), {
    bucket: clusterBucket(scene.namespace),
  });
  for (;;) {
    const outcome = await bucket.put(key, encoder.encode(text), await bucket.get(key));
    if (outcome.kind === "stored") break;
  }
  await bucket.close();
}

/** The shards that nobody owns by their fences. */
async function freeShards(scene: Scene): Promise<number> {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using store = await FencedEventStore.open(connection, { namespace, nodeId: "observer" });
  return [...(await store.fences()).values()].filter(({ state }) => state === "released").length;
}

async function answers(cluster: Cluster): Promise<void> {
  for (let at = 0; at < 20; at++) await cluster.send(`counter-${at}`, {}, { timeout: 10_000 });
}

for (const key of [VIEW_KEY, MAP_KEY]) {
  natsTest(
    `a damaged or foreign ${key} is reported and mended, and nodes go on, join and leave`,
    async (scene) => {
      const errors: unknown[] = [];
      const onError = (error: unknown) => errors.push(error);
      const a = await join(scene, "a", { onError });
      let b = await join(scene, "b", { onError });
      for (const [at, text] of DAMAGED.entries()) {
        await settled(a, b);
        const known = errors.length;
        await overwrite(scene, key, text);
        const mended = Date.now() + 10_000;
        const bucket = await Bucket.open(await scene.connect(), {
          bucket: clusterBucket(scene.namespace),
        });
        while (new TextDecoder().decode((await bucket.get(key)).value) === text) {
          assert(Date.now() < mended, `${text} is still there`);
          await sleep(20);
        }
        await bucket.close();
        if (at === 0) assert(errors.length > known, "nobody was told"); // Later on, not each time.
        assertEquals(a.view.members.length, 2);
        await answers(a);
        if (at % 3 === 0) {
          await overwrite(scene, key, text);
          await b.leave();
          b = await join(scene, "b", { onError });
        }
      }
      await settled(a, b);
      await overwrite(scene, key, "{");
      await Promise.all([a.leave(), b.leave()]);
      assertEquals(await freeShards(scene), QUICK.shards);
    },
  );
}

natsTest(
  "leave() releases the shards, and rejects with nothing, whatever is stored",
  async (scene) => {
    for (const [at, key] of [VIEW_KEY, MAP_KEY, LEADER_KEY].entries()) {
      // The last one was written by a later version, which nobody here may replace.
      for (const text of ["{", '{"format":99,"version":1}']) {
        const a = await join(scene, `a-${at}`, { onError: () => {}, leaveTimeout: 2_000 });
        while ((a.describe().phases.get("serving") ?? 0) < QUICK.shards!) await sleep(10);
        await overwrite(scene, key, text);
        await a.leave();
        assertEquals(await freeShards(scene), QUICK.shards);
        await overwrite(scene, key, "{"); // For the next one to mend.
      }
    }
    const { namespace } = scene;
    const connection = await scene.connect();
    const node = await Discovery.join(connection, { namespace, nodeId: "d", onError: () => {} });
    await overwrite(scene, VIEW_KEY, '{"format":99}');
    await node.leave();
  },
);

natsTest(
  "a lease key that holds something else is taken once no leader can believe in it",
  async (scene) => {
    const { namespace } = scene;
    const options = { namespace, lease: 2_000, renew: 400, margin: 200 };
    await using one = await Election.open(await scene.connect(), { ...options, nodeId: "one" });
    await using two = await Election.open(await scene.connect(), { ...options, nodeId: "two" });
    for (const text of DAMAGED.slice(0, 4)) {
      const lease = await one.campaign();
      await overwrite(scene, LEADER_KEY, text);
      const next = await two.campaign({ signal: AbortSignal.timeout(15_000) });
      assertEquals([lease.validFor, lease.signal.aborted], [0, true]);
      assert(next.term > lease.term);
      await next.resign();
    }
    // A claim without a time to live, as from a copy of the key: nobody renews it, and it stays.
    const copy = { nodeId: "ghost", nonce: "1.1", lease: 2_000 };
    await overwrite(scene, LEADER_KEY, JSON.stringify(copy));
    const began = performance.now();
    const last = await two.campaign({ signal: AbortSignal.timeout(15_000) });
    assert(performance.now() - began > 3_900 && last.validFor > 0);
  },
);
