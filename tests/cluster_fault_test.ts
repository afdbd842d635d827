import { assert, assertEquals, assertRejects } from "@std/assert";
import { MAP_KEY } from "../cluster/coordinator.ts";
import { clusterBucket } from "../cluster/names.ts";
import { Bucket } from "../store/bucket.ts";
import { CommandFailedError } from "../store/errors.ts";
import { createEvent } from "../store/event.ts";
import { join, settled } from "./cluster_bed.ts";
import { natsTest } from "./fixture.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

natsTest("a map that is lost is dealt anew, newer than any that is known", async (scene) => {
  const errors: unknown[] = [];
  const a = await join(scene, "a", { onError: (error) => errors.push(error) });
  await settled(a);
  const bucket = await Bucket.open(await scene.connect(), {
    bucket: clusterBucket(scene.namespace),
  });
  const change = (text: (standing: string) => string) =>
    bucket.update(MAP_KEY, ({ value }) => encoder.encode(text(decoder.decode(value))));
  // A map that gives nothing to anybody new: no shard is claimed under it.
  await change((text) => JSON.stringify({ ...JSON.parse(text), version: 1000 }));
  while (a.describe().map.version < 1000) await new Promise((resolve) => setTimeout(resolve, 5));
  await change(() => "{}");
  while (errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const { revision } = await bucket.get(MAP_KEY);
  await bucket.remove(MAP_KEY, revision);
  const b = await join(scene, "b");
  await settled(a, b);
  assert(a.describe().map.version > 1000);
  assertEquals(errors.length, 1);
  await a.leave();
  await b.leave();
  await bucket.close();
});

natsTest("an actor goes on after an outage, though saves are optimistic", async (scene) => {
  const proxy = scene.proxy();
  const node = await join(scene, "a", { timeout: 1500, mode: "optimistic" }, proxy);
  assertEquals(await node.send("counter-1", 1), 1);
  const lost = proxy.eatFromClient(({ subject }) => subject.includes(".event."));
  const second = node.send("counter-1", 2);
  while (lost.eaten.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  proxy.refusing = true;
  proxy.cut();
  await new Promise((resolve) => setTimeout(resolve, 2000)); // The save gives up.
  lost.stop();
  proxy.refusing = false;
  assertEquals([await second, await node.send("counter-1", 3)], [2, 3]);
  await node.leave();
}, { leakCheck: false }); // Consumers that were cut off end by themselves.

natsTest("a command that saves on two nodes fails at once, on one it does not", async (scene) => {
  const nodes = await Promise.all(
    ["a", "b"].map((nodeId) =>
      join(
        scene,
        nodeId,
        {},
        undefined,
        (cluster) =>
          cluster.handle(async (others, { actorId, store }) => {
            const ids = [actorId, others as string];
            await store.saveEvents(
              ids.map((actorId) =>
                createEvent({ eventType: "Met", actorId, version: 1, data: null })
              ),
            );
          }),
      )
    ),
  );
  await settled(...nodes);
  const [a] = nodes as [typeof nodes[0]];
  const ids = Array.from({ length: 50 }, (_, at) => `guest-${at}`);
  const [mine, too] = ids.filter((id) => a.ownerOf(id)?.nodeId === "a") as [string, string];
  const others = ids.find((id) => a.ownerOf(id)?.nodeId === "b")!;
  const failed = await assertRejects(
    () => a.send(mine, others, { timeout: 2 ** 31 - 1 }),
    CommandFailedError,
    `does not own shard ${a.ownerOf(others)!.shard}`,
  );
  assertEquals(failed.failure.name, "FencedError");
  await a.send(mine, too);
  await Promise.all(nodes.map((node) => node.leave()));
});
