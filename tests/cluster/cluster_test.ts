import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Cluster, type ClusterEvent } from "../../cluster/cluster.ts";
import { CommandFailedError, StoreUnavailableError } from "../../store/errors.ts";
import { JetStreamEventStore } from "../../store/jetstream/event_store.ts";
import { join, problemsOf, QUICK, settled } from "./bed.ts";
import { clusterTest, natsTest, nextStatus } from "../support/fixture.ts";
import { assertVerified } from "../support/verified.ts";

natsTest("one node serves all, and commands reach the actors one at a time", async (scene) => {
  const node = await join(scene, "a");
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, at) => node.send(`counter-${at % 2}`, at)),
  );
  assertEquals(replies.sort(), Array.from({ length: 20 }, (_, at) => (at >> 1) + 1).sort());
  assertEquals(node.ownerOf("counter-0")?.nodeId, "a");
  await node.leave();
  await assertRejects(() => node.send("counter-0", 1), StoreUnavailableError, "has left");
  assert(node.signal.aborted);
});

natsTest(
  "three nodes share the shards; a command sent anywhere is handled by the owner",
  async (scene) => {
    const nodes = [await join(scene, "a"), await join(scene, "b"), await join(scene, "c")];
    await settled(...nodes);
    for (let at = 0; at < 60; at++) {
      assertEquals(await nodes[at % 3]!.send(`counter-${at % 20}`, at), Math.floor(at / 20) + 1);
    }
    const owners = new Set(
      Array.from({ length: 20 }, (_, at) => nodes[0]!.ownerOf(`counter-${at}`)?.nodeId),
    );
    assertEquals(owners.size, 3);
    assertEquals(new Set(nodes.map((node) => node.leader?.nodeId)).size, 1);
    await Promise.all(nodes.map((node) => node.leave()));
  },
);

natsTest(
  "the handler's error reaches the sender, and so does a refusal to send",
  async (scene) => {
    const node = await join(scene, "a", { capacity: 0 });
    const other = await join(scene, "b", {});
    await settled(other);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    await assertRejects(() => node.send("counter-1", cycle), TypeError, "Cannot send the command");
    await assertRejects(() => node.send("", 1), RangeError);
    await assertRejects(() => node.send("counter-1", "x".repeat(2 ** 20)), RangeError, "takes");
    assertThrows(() => node.handle(() => {}), TypeError, "a handler already");
    await node.leave();
    await other.leave();
    assert(CommandFailedError !== undefined);
  },
);

natsTest(
  "under joins and leaves each command is handled once, and the totals are right",
  async (scene) => {
    const first = await join(scene, "a");
    const sent = new Map<string, number>();
    let stop = false;
    const sending = Array.from({ length: 4 }, async (_, sender) => {
      for (let at = 0; !stop; at++) {
        const actorId = `counter-${(at * 7 + sender) % 16}`;
        await first.send(actorId, `${sender}-${at}`);
        sent.set(actorId, (sent.get(actorId) ?? 0) + 1);
      }
    });
    const b = await join(scene, "b");
    await settled(first, b);
    const c = await join(scene, "c");
    await settled(first, b, c);
    await b.leave();
    await settled(first, c);
    await c.leave();
    await settled(first);
    stop = true;
    await Promise.all(sending);
    await using store = await JetStreamEventStore.open(await scene.connect(), {
      namespace: scene.namespace,
    });
    for (const [actorId, count] of sent) {
      const events = await store.getEvents(actorId);
      assertEquals(problemsOf(events), []);
      assertEquals(events.length, count);
    }
    await assertVerified(await scene.connect(), scene.namespace);
    await first.leave();
  },
);

clusterTest(
  "on three NATS servers, changes report the members that came, led, moved and left",
  async (scene) => {
    const a = await join(scene, "a");
    await settled(a);
    const seen: ClusterEvent[] = [];
    const ends = new AbortController();
    const watching = (async () => {
      for await (const change of a.changes({ signal: ends.signal })) seen.push(change);
    })();
    const b = await join(scene, "b");
    await settled(a, b);
    assertEquals(await b.send("counter-1", "x"), 1);
    await b.leave();
    await settled(a);
    assertEquals(await a.send("counter-1", "y"), 2);
    ends.abort();
    await watching;
    const types = seen.map(({ type }) => type);
    for (const type of ["joined", "left", "moved"] as const) {
      assert(
        types.includes(type),
        type,
      );
    }
    await a.leave();
  },
);

natsTest("a node leaves in time even if a handler never ends", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  const node = await Cluster.join(connection, { ...QUICK, namespace, drainTimeout: 50 });
  node.handle(() => new Promise(() => {}));
  const sending = assertRejects(() => node.send("counter-1", 1, { timeout: 2_000 }));
  while (node.describe().handling === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await node.leave();
  await sending;
});

natsTest("a node leaves at once when its connection is closed", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const node = await Cluster.join(connection, { ...QUICK, namespace, leaveTimeout: 2 ** 31 - 1 });
  await connection.close();
  await node.leave();
}, { leakCheck: false });

natsTest("without a connection no node joins, and the error says why", async (scene) => {
  const connection = await scene.connect();
  const gone = nextStatus(connection, "disconnect");
  await scene.server.kill();
  await gone;
  const { namespace } = scene;
  const joining = Cluster.join(connection, { namespace, timeout: 500 });
  await assertRejects(() => joining, StoreUnavailableError);
  const back = nextStatus(connection, "reconnect");
  await scene.server.restart();
  await back;
});
