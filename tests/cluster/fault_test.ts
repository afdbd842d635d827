import { assert, assertEquals, assertRejects } from "@std/assert";
import { decodeAnswer, encodeMessage } from "../../cluster/commands/messages.ts";
import { MAP_KEY } from "../../cluster/sharding/shard_coordinator.ts";
import { clusterBucket } from "../../cluster/subjects.ts";
import { nodeSubject } from "../../cluster/subjects.ts";
import { Bucket } from "../../store/kv/bucket.ts";
import { ActorElsewhereError } from "../../store/errors.ts";
import { createEvent } from "../../store/event.ts";
import { JetStreamEventStore } from "../../store/jetstream/event_store.ts";
import { join, problemsOf, settled } from "./bed.ts";
import { natsTest } from "../support/fixture.ts";
import { assertVerified } from "../support/verified.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

natsTest("a lost map is planned again, with a version above any that is known", async (scene) => {
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

for (const mode of ["fenced", "optimistic"] as const) {
  natsTest(`an actor goes on after an outage longer than its save, ${mode}`, async (scene) => {
    const proxy = scene.proxy();
    const node = await join(scene, "a", { timeout: 1500, mode }, proxy);
    assertEquals(await node.send("counter-1", 1), 1);
    const lost = proxy.eatFromClient(({ subject }) => /\.(event|commit)\./.test(subject));
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
}

natsTest(
  "a command that saves on two nodes fails at once, on one node it does not",
  async (scene) => {
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
      ActorElsewhereError,
      "send a command to",
    );
    const { commandId: _, actorId, shard, owner } = failed;
    assertEquals([actorId, shard, owner], [others, a.ownerOf(others)!.shard, "b"]);
    await a.send(mine, too);
    await Promise.all(nodes.map((node) => node.leave()));
  },
);

natsTest(
  "a command whose answer is lost is handled once, though its actor moves",
  async (scene) => {
    const proxy = scene.proxy();
    const a = await join(scene, "a", {}, proxy);
    const b = await join(scene, "b");
    const sender = await join(scene, "sender", { capacity: 0 });
    await settled(a, b);
    const ids = Array.from({ length: 50 }, (_, at) => `counter-${at}`)
      .filter((actorId) => a.ownerOf(actorId)?.nodeId === "a").slice(0, 4);
    for (const actorId of ids) assertEquals(await sender.send(actorId, "first"), 1);
    const lost = proxy.eatFromClient(
      ({ payload }) => decoder.decode(payload).includes('"kind":"reply"'),
      ids.length,
    );
    const replies = ids.map((actorId, at) =>
      sender.send(actorId, "second", at % 2 === 0 ? {} : { commandId: "named" })
    );
    await lost.done;
    // The next command makes the actor active on the next owner, which knows less than it needs to.
    const leaving = a.leave();
    while (b.ownerOf(ids[0]!)?.nodeId !== "b") {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const next = ids.map((actorId) => sender.send(actorId, "third"));
    assertEquals(await Promise.all(next), ids.map(() => 3));
    await leaving;
    assertEquals(await Promise.all(replies), ids.map(() => 2));
    await using store = await JetStreamEventStore.open(await scene.connect(), {
      namespace: scene.namespace,
    });
    for (const actorId of ids) {
      const events = await store.getEvents(actorId);
      assertEquals([events.length, problemsOf(events)], [3, []]);
    }
    await assertVerified(await scene.connect(), scene.namespace);
    await sender.leave();
    await b.leave();
  },
);

natsTest(
  "a node that leaves sends commands on until the others know that it is gone",
  async (scene) => {
    const proxy = scene.proxy();
    const b = await join(scene, "b");
    const a = await join(scene, "a", {}, proxy);
    await settled(a, b);
    const actorId = Array.from({ length: 50 }, (_, at) => `counter-${at}`)
      .find((actorId) => a.ownerOf(actorId)?.nodeId === "a")!;
    const [connection, subject] = [
      await scene.connect(),
      nodeSubject(scene.namespace, a, "command"),
    ];
    const command = encodeMessage({ id: "late", actorId, command: "late" });
    const word = proxy.eatFromClient(
      ({ payload }) => decoder.decode(payload).includes('"left"'),
      1,
    );
    const leaving = a.leave();
    await word.done;
    const { data } = await connection.request(subject, command);
    assertEquals(decodeAnswer(data)?.kind, "retry");
    await leaving;
    await assertRejects(() => connection.request(subject, command));
    assertEquals(await b.send(actorId, "next"), 1);
    await b.leave();
  },
);
