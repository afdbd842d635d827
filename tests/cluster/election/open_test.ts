import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Kvm } from "@nats-io/kv";
import { Election } from "../../../cluster/election/election.ts";
import { clusterBucket } from "../../../cluster/subjects.ts";
import { Bucket } from "../../../store/kv/bucket.ts";
import { isAetherError } from "../../../store/errors.ts";
import { natsTest } from "../../support/fixture.ts";
import { oldServerTest } from "../../support/old_server.ts";

natsTest("open() refuses a bucket whose keys do not expire", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const kv = await new Kvm(connection).create(clusterBucket(namespace));
  await kv.put("leader", "somebody");
  const error = await assertRejects(() => Election.open(connection, { namespace, nodeId: "a" }));
  assert(isAetherError(error, "StreamConfigError"), String(error));
  assertMatch(error.problems.join(), /allow_msg_ttl is .*subject_delete_marker_ttl is off/);
  assertEquals((await kv.get("leader"))?.string(), "somebody");
});

natsTest("open() refuses impossible timings before it writes anything", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await assertRejects(
    () => Election.open(connection, { namespace, nodeId: "a", renew: 10_000 }),
    RangeError,
    "renew more often",
  );
  const { streams } = await scene.server.monitor<{ streams: number }>("/jsz");
  assertEquals(streams, 0);
});

/** Resolves when a key that is written now has lived for its second and is gone. */
async function secondOver(bucket: Bucket, key: string): Promise<void> {
  const outcome = await bucket.put(key, new Uint8Array([1]), { revision: 0, ttl: 1 });
  assertEquals(outcome.kind, "stored");
  const known = [await bucket.get(key)];
  for await (const { value } of bucket.watch({ filter: key, known })) {
    if (value === undefined) return;
  }
}

natsTest("Control: a lease renewed by nats.js's update() never ends", async (scene) => {
  const connection = await scene.connect();
  const bucket = await Bucket.open(connection, { bucket: clusterBucket(scene.namespace) });
  const kv = await new Kvm(connection).open(clusterBucket(scene.namespace));
  const bytes = new TextEncoder().encode("a");
  for (const key of ["ours", "theirs"]) await bucket.put(key, bytes, { revision: 0, ttl: 1 });
  await bucket.put("ours", bytes, { revision: (await bucket.get("ours")).revision, ttl: 1 });
  await kv.update("theirs", "a", (await bucket.get("theirs")).revision);
  await secondOver(bucket, "later");
  await secondOver(bucket, "much-later");
  assertEquals((await bucket.get("ours")).value, undefined);
  assertEquals((await bucket.get("theirs")).value, bytes);
  await bucket.close();
});

oldServerTest(
  "open() refuses nats-server 2.10, on which a lease would never end",
  async (scene) => {
    const connection = await scene.connect();
    const error = await assertRejects(() => Election.open(connection, { nodeId: "a" }));
    assert(isAetherError(error, "UnsupportedServerError"), String(error));
  },
);
