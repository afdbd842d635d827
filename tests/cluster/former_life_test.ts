import { assert, assertEquals, assertRejects } from "@std/assert";
import { ViewStore } from "../../cluster/membership/view_store.ts";
import { clusterBucket, nodeSubject } from "../../cluster/subjects.ts";
import { Bucket } from "../../store/kv/bucket.ts";
import { join, settled } from "./bed.ts";
import { natsTest } from "../support/fixture.ts";

natsTest("a node that was taken for gone answers by its new incarnation alone", async (scene) => {
  const connection = await scene.connect();
  const a = await join(scene, "a");
  await settled(a);
  const { nodeId, incarnation } = a;
  const ask = (verb: string, incarnation: string) =>
    connection.request(nodeSubject(scene.namespace, { nodeId, incarnation }, verb), "{}");
  for (const verb of ["status", "release"]) await ask(verb, incarnation);
  const bucket = await Bucket.open(connection, { bucket: clusterBucket(scene.namespace) });
  const store = new ViewStore(bucket, "test");
  await store.write(() => [{ type: "depart", nodeId, incarnation, how: "crashed" }]);
  while (a.incarnation === incarnation || a.view.members.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await settled(a);
  for (const verb of ["ping", "status", "release", "command"]) {
    await assertRejects(() => ask(verb, incarnation), Error, "no responders", verb);
  }
  assert(a.incarnation > incarnation);
  assertEquals(await a.send("counter-1", 1), 1);
  await bucket.close();
  await a.leave();
});
