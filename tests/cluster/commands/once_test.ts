import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Cluster } from "../../../cluster/cluster.ts";
import { appendEvents } from "../../../store/append.ts";
import { CommandFailedError } from "../../../store/errors.ts";
import { createEvent } from "../../../store/event.ts";
import { JetStreamEventStore } from "../../../store/jetstream/event_store.ts";
import { join, QUICK, settled } from "../bed.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

const decoder = new TextDecoder();

/** Some of the actors that `cluster` owns. */
function ownedBy(cluster: Cluster, count: number): string[] {
  return Array.from({ length: 200 }, (_, at) => `counter-${at}`)
    .filter((actorId) => cluster.ownerOf(actorId)?.nodeId === cluster.nodeId).slice(0, count);
}

async function openStore(scene: Scene): Promise<JetStreamEventStore> {
  return await JetStreamEventStore.open(await scene.connect(), { namespace: scene.namespace });
}

natsTest("one send() in doubt is handled once, with 5,000 events in between", async (scene) => {
  const proxy = scene.proxy();
  const a = await join(scene, "a", {}, proxy);
  const b = await join(scene, "b");
  const sender = await join(scene, "sender", { capacity: 0 });
  await settled(a, b);
  const ids = ownedBy(a, 3);
  await Promise.all(ids.map((actorId) => sender.send(actorId, "first")));
  const lost = proxy.eatFromClient(
    ({ payload }) => decoder.decode(payload).includes('"kind":"reply"'),
    ids.length,
  );
  await using store = await openStore(scene);
  const { identity } = store;
  let cause = { identity, sequence: 0, id: "" };
  for await (const { actorId, sequence, id } of store.readAll()) {
    if (actorId === ids[2]) cause = { identity, sequence, id };
  }
  const options = [{}, { commandId: "named" }, { commandId: "caused", cause }];
  const replies = ids.map((actorId, at) => sender.send(actorId, "second", options[at]));
  await lost.done;
  const others = Array.from({ length: 500 }, () => ({ eventType: "Noted", data: { command: 0 } }));
  for (const actorId of ids) {
    for (let version = 2; version < 5_002; version += others.length) {
      await appendEvents(store, actorId, version, others);
    }
  }
  await a.leave();
  // The reply that `count()` makes of the command's own event.
  assertEquals(await Promise.all(replies), ids.map(() => 2));
  for (const actorId of ids) {
    const events = await store.getEvents(actorId);
    const own = events.filter(({ data }) => (data as { command: unknown }).command === "second");
    assertEquals([events.length, own.length], [5_002, 1]);
  }
  await b.leave();
  await sender.leave();
});

for (const reads of ["lease", "fenced"] as const) {
  natsTest(
    `a deposed owner gives no answer that saved nothing, reads: "${reads}"`,
    async (scene) => {
      const proxy = scene.proxy();
      /** What the handlers keep in memory. */
      const counts = new Map<string, number>();
      const handle = (cluster: Cluster): void =>
        cluster.handle(async (command, { actorId, store }) => {
          const key = `${cluster.nodeId} ${actorId}`;
          let version = counts.get(key) ?? await store.getLatestVersion(actorId);
          counts.set(key, version);
          if (command === "refuse") throw new RangeError(`no more than ${version}`);
          if (command === "read") return version;
          await store.saveEvent(
            createEvent({ eventType: "Counted", actorId, version: ++version, data: null }),
          );
          counts.set(key, version);
          return version;
          // On a busy machine the answer to a first try may come too late.
        }, { onDuplicate: (events) => events.at(-1)!.version });
      const options = { reads, timeout: 1_000 };
      const a = await join(scene, "a", options, proxy, handle);
      const b = await join(scene, "b", {}, undefined, handle);
      await settled(a, b);
      const [actorId] = ownedBy(a, 1) as [string];
      await a.send(actorId, "count");
      await assertRejects(
        () => a.send(actorId, "refuse", { commandId: "before" }),
        CommandFailedError,
        "no more than 1",
      );
      proxy.refusing = true;
      proxy.cut();
      assertEquals(await b.send(actorId, "count"), 2);
      // It may believe in itself until its heartbeat has expired, unless its reads are fenced.
      const begun = performance.now();
      const isAnswered = async () =>
        await a.send(actorId, "read", { timeout: 500 }).then(() => true, () => false);
      while (await isAnswered()) {
        assert(reads === "lease" && performance.now() - begun < QUICK.heartbeatTtl!);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const late = { timeout: 3_000 };
      const answers = await Promise.allSettled([
        a.send(actorId, "refuse", late),
        a.send(actorId, "refuse", { ...late, commandId: "before" }),
        a.send(actorId, "read", late),
      ]);
      for (const answer of answers) {
        assert(answer.status === "rejected", JSON.stringify(answer));
        assert(!(answer.reason instanceof CommandFailedError), answer.reason.message);
      }
      proxy.refusing = false;
      // Where the new owner refuses it, the answer is the new one.
      await assertRejects(() => b.send(actorId, "refuse"), CommandFailedError, "no more than 2");
      await a.leave();
      await b.leave();
    },
    { leakCheck: false },
  ); // Consumers that were cut off end by themselves.
}

natsTest("a command that saved events of two actors counts as handled at both", async (scene) => {
  const node = await join(
    scene,
    "a",
    {},
    undefined,
    (cluster) =>
      cluster.handle(async (others, { actorId, store }) => {
        const events = [actorId, ...others as string[]].map(async (actorId) =>
          createEvent({
            eventType: "Met",
            actorId,
            version: await store.getLatestVersion(actorId) + 1,
            data: null,
          })
        );
        await store.saveEvents(await Promise.all(events));
      }, { onDuplicate: () => "before" }),
  );
  await settled(node);
  await node.send("active-1", []);
  await node.send("own-1", ["active-1", "idle-1"], { commandId: "met" });
  for (const actorId of ["active-1", "idle-1", "own-1"]) {
    assertEquals(
      await node.send(actorId, [], { commandId: "met" }),
      actorId === "own-1" ? undefined : "before",
    );
  }
  await using store = await openStore(scene);
  assertEquals(await store.getLatestVersion("active-1"), 2);
  await node.leave();
});
