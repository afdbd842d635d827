import { assert, assertEquals } from "@std/assert";
import type { Cluster } from "../../../cluster/cluster.ts";
import { MAP_KEY } from "../../../cluster/sharding/shard_coordinator.ts";
import { emptyShardMap, takenVersion } from "../../../cluster/sharding/shard_map.ts";
import { clusterBucket } from "../../../cluster/subjects.ts";
import { VIEW_KEY } from "../../../cluster/subjects.ts";
import { Bucket } from "../../../store/kv/bucket.ts";
import { join, settled } from "../bed.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

/** The keys that a backup puts back. */
const KEYS = [MAP_KEY, VIEW_KEY];

/** Puts keys back to what they were, as after a power cut or from a backup. */
class Backup {
  readonly #bucket: Bucket;
  readonly #values = new Map<string, Uint8Array>();

  private constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  static async take(scene: Scene): Promise<Backup> {
    const bucket = await Bucket.open(await scene.connect(), {
      bucket: clusterBucket(scene.namespace),
    });
    const backup = new Backup(bucket);
    for (const key of KEYS) backup.#values.set(key, (await bucket.get(key)).value!);
    return backup;
  }

  async restore(...keys: string[]): Promise<void> {
    for (const key of keys) {
      const { revision } = await this.#bucket.get(key);
      const { kind } = await this.#bucket.put(key, this.#values.get(key)!, { revision });
      assertEquals(kind, "stored");
    }
    await this.#bucket.close();
  }
}

/** Sends a command to actors of all shards. */
async function countAll(cluster: Cluster): Promise<void> {
  const ids = Array.from({ length: 100 }, (_, at) => `counter-${at}`);
  const sends = ids.map((actorId) => cluster.send(actorId, crypto.randomUUID()));
  await Promise.all(sends);
}

for (const keys of [[MAP_KEY], KEYS]) {
  natsTest(
    `a cluster that begins with an older ${keys.join(" and ")} serves all shards`,
    async (scene) => {
      const a = await join(scene, "a");
      await settled(a);
      const backup = await Backup.take(scene);
      const b = await join(scene, "b");
      await settled(a, b);
      await b.leave();
      await settled(a);
      const { version } = a.describe().map;
      await a.leave();
      await backup.restore(...keys);
      const nodes = await Promise.all([join(scene, "c"), join(scene, "d")]);
      await settled(...nodes);
      await countAll(nodes[0]);
      assert(nodes[0].describe().map.version > version);
      await Promise.all(nodes.map((node) => node.leave()));
    },
  );

  natsTest(
    `a running cluster whose ${keys.join(" and ")} went back serves all shards`,
    async (scene) => {
      const a = await join(scene, "a");
      await settled(a);
      const backup = await Backup.take(scene);
      const b = await join(scene, "b");
      await settled(a, b);
      await backup.restore(...keys);
      await b.leave();
      await settled(a);
      await countAll(a);
      const c = await join(scene, "c");
      await settled(a, c);
      await a.leave();
      await c.leave();
    },
  );
}

Deno.test("a map version is taken if a fence has a newer one, or another owner has claimed under it", () => {
  const owner = { nodeId: "a", incarnation: "1" };
  const map = { ...emptyShardMap(2), version: 7, shards: [owner, owner] };
  const fences = (mapVersion: number, nodeId: string) =>
    new Map([[1, { ...owner, nodeId, mapVersion }]]);
  assertEquals(takenVersion(map, new Map()), 0);
  assertEquals(takenVersion(map, fences(7, "a")), 0);
  assertEquals(takenVersion(map, fences(6, "b")), 0);
  assertEquals(takenVersion(map, fences(7, "b")), 8);
  assertEquals(takenVersion(map, fences(9, "a")), 9);
});
