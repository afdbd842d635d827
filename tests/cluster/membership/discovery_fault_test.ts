import { decodeView } from "../../../cluster/membership/view_json.ts";
import { assert, assertEquals } from "@std/assert";
import { Bucket } from "../../../store/kv/bucket.ts";
import { clusterBucket } from "../../../cluster/subjects.ts";
import type { ClusterView } from "../../../cluster/membership/view.ts";
import { ViewStore } from "../../../cluster/membership/view_store.ts";
import {
  clusterNodesTest,
  FakeLeadership,
  idsOf,
  membersAre,
  nodesTest,
  type TestNode,
  viewIs,
} from "./discovery_bed.ts";
import { nextStatus } from "../../support/fixture.ts";

/** As low as they can be. */
const SHORT = { heartbeatTtl: 2000, heartbeat: 400 };

/** Lets time pass where nothing but its passing is waited for. */
const passed = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Keeps all views that a node sees. */
function recorded({ discovery }: TestNode): ClusterView[] {
  const views = [discovery.view];
  (async () => {
    for await (const { view } of discovery.changes()) {
      if (view !== views.at(-1)) views.push(view);
    }
  })();
  return views;
}

const livesOf = (nodes: readonly TestNode[]) => nodes.map(({ discovery }) => discovery.incarnation);

nodesTest(
  "the leader coordinates; when it crashes, the oldest other until there is a new one",
  async (hall) => {
    const leadership = new FakeLeadership();
    const join = (nodeId: string) => hall.join({ nodeId, leadership });
    const a = await join("a");
    await join("b");
    const c = await join("c");
    const d = await join("d");
    const coordinatorIs = (nodeId: string) =>
      viewIs(d.discovery, ({ coordinator }) => coordinator === nodeId);
    await coordinatorIs("a");
    leadership.set("c");
    await coordinatorIs("c");
    assert(c.discovery.coordinates && !a.discovery.coordinates);
    await hall.crash(c); // Nothing reports that it no longer leads.
    await coordinatorIs("a");
    assertEquals(idsOf(d.discovery.view), ["a", "b", "d"]);
    leadership.set("d");
    await coordinatorIs("d");
    assert(d.discovery.coordinates);
    leadership.set(undefined);
    await coordinatorIs("a");
  },
);

nodesTest("when leader and oldest crash together, the next oldest takes over", async (hall) => {
  const nodes = [];
  for (const nodeId of ["a", "b", "c", "d", "e", "f"]) nodes.push(await hall.join({ nodeId }));
  const [a, b, , , , f] = nodes;
  await Promise.all([hall.crash(a!), hall.crash(b!)]);
  await viewIs(f!.discovery, ({ coordinator }) => coordinator === "c");
  await membersAre(f!.discovery, "c", "d", "e", "f");
});

nodesTest("if two nodes coordinate at once, all views are in one order", async (hall) => {
  const leaderships = [new FakeLeadership(), new FakeLeadership(), new FakeLeadership()];
  const nodes: TestNode[] = [];
  for (const [at, leadership] of leaderships.entries()) {
    nodes.push(await hall.join({ nodeId: `n${at}`, leadership }));
  }
  const all = nodes.map(recorded);
  for (const [at, leadership] of leaderships.entries()) leadership.set(`n${at}`);
  for (const { discovery } of nodes) await viewIs(discovery, () => discovery.coordinates);
  await Promise.all(Array.from({ length: 5 }, async (_, at) => {
    for (let round = 0; round < 3; round++) {
      const { discovery } = await hall.join({ nodeId: `m${at}` });
      await discovery.leave();
    }
  }));
  for (const { discovery } of nodes) await membersAre(discovery, "n0", "n1", "n2");
  const byVersion = new Map<number, string>();
  for (const views of all) {
    assert(views.length > 5);
    views.reduce((before, view) => {
      assert(view.version > before.version, "versions strictly increase");
      return view;
    });
    for (const view of views) {
      const facts = JSON.stringify(view);
      assertEquals(byVersion.get(view.version) ?? facts, facts, "one view for one version");
      byVersion.set(view.version, facts);
    }
  }
  // Each join and leave once, and the names of those that coordinate from time to time.
  assert(byVersion.size < 100, `${byVersion.size} views`);
});

nodesTest(
  "work of the coordinator runs on it alone, and ends when it stops coordinating",
  async (hall) => {
    const leadership = new FakeLeadership();
    leadership.set("a");
    const log: string[] = [];
    const turns = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const watch = ({ discovery }: TestNode) =>
      discovery.onCoordinate(async (signal) => {
        log.push(`${discovery.nodeId} begins`);
        if (log.length === 1) turns[0]!.resolve();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        log.push(`${discovery.nodeId} ends`);
        if (log.filter((line) => line === "a ends").length === 1) turns[1]!.resolve();
      });
    const a = await hall.join({ nodeId: "a", leadership });
    watch(a);
    const b = await hall.join({ nodeId: "b", leadership });
    watch(b);
    await turns[0]!.promise;
    leadership.set("b");
    await turns[1]!.promise;
    await viewIs(a.discovery, ({ coordinator }) => coordinator === "b");
    await b.discovery.leave();
    assertEquals(log.filter((line) => line.startsWith("b")), ["b begins", "b ends"]);
    await viewIs(a.discovery, ({ coordinator }) => coordinator === "a");
  },
);

nodesTest(
  "an observer that is cut off takes no node for dead, and comes back as another incarnation",
  async (hall) => {
    const proxy = hall.scene.proxy();
    const cut = await hall.join({ nodeId: "cut", ...SHORT }, { servers: proxy.url });
    const b = await hall.join({ nodeId: "b", ...SHORT });
    const c = await hall.join({ nodeId: "c", ...SHORT });
    const before = [cut, b, c].map(({ discovery }) => discovery.incarnation);
    assert(cut.discovery.coordinates);
    hall.crashed++; // the server deletes its subscriptions only later
    proxy.refusing = true;
    proxy.cut();
    await membersAre(c.discovery, "b", "c");
    assertEquals(idsOf(cut.discovery.view), ["cut", "b", "c"]);
    const back = nextStatus(cut.connection, "reconnect");
    proxy.refusing = false;
    await back;
    await membersAre(cut.discovery, "b", "c", "cut");
    assert(cut.discovery.incarnation > before[0]!);
    assertEquals(livesOf([b, c]), before.slice(1));
  },
);

nodesTest(
  "a server that is away for longer than heartbeats last costs no member its membership",
  async (hall) => {
    const nodes: TestNode[] = [];
    for (const nodeId of ["a", "b", "c"]) nodes.push(await hall.join({ nodeId, ...SHORT }));
    const before = livesOf(nodes);
    const { version } = nodes[0]!.discovery.view;
    await hall.scene.server.kill();
    await passed(2 * SHORT.heartbeatTtl);
    const back = nodes.map(({ connection }) => nextStatus(connection, "reconnect"));
    await hall.scene.server.restart();
    await Promise.all(back);
    const { discovery: d } = await hall.join({ nodeId: "d", ...SHORT });
    await passed(2 * SHORT.heartbeatTtl); // A node suspected then would be out by now.
    assertEquals(idsOf(d.view), ["a", "b", "c", "d"]);
    assertEquals([livesOf(nodes), d.view.departed], [before, []]);
    assert(d.view.version > version);
  },
);

nodesTest(
  "after an outage in which all heartbeats have expired, each node has time to come back",
  async (hall) => {
    const LONG = { heartbeatTtl: 4000, heartbeat: 400 };
    const a = await hall.join({ nodeId: "a", ...LONG });
    const proxy = hall.scene.proxy();
    const late = await hall.join({ nodeId: "late", ...LONG }, { servers: proxy.url });
    const before = livesOf([a, late]);
    await hall.scene.server.kill();
    await passed(1.5 * LONG.heartbeatTtl);
    proxy.refusing = true;
    const back = nextStatus(a.connection, "reconnect");
    await hall.scene.server.restart();
    await back;
    const lateBack = nextStatus(late.connection, "reconnect");
    await passed(1500); // Its heartbeat is gone, nothing listens: not yet a proof.
    proxy.refusing = false;
    await lateBack;
    const { discovery: b } = await hall.join({ nodeId: "b", ...LONG });
    assertEquals([livesOf([a, late]), b.view.departed], [before, []]);
  },
);

clusterNodesTest(
  "while the bucket is out of reach, and just after, no node is taken for dead",
  async (hall, cluster) => {
    const [up, ...down] = cluster.servers;
    const nodes: TestNode[] = [];
    for (const nodeId of ["a", "b", "c"]) {
      nodes.push(await hall.join({ nodeId, ...SHORT }, { servers: up!.url }));
    }
    hall.crashed = Infinity; // Consumers are not deleted without the bucket.
    const before = livesOf(nodes);
    await Promise.all(down.map((server) => server.kill()));
    await passed(2 * SHORT.heartbeatTtl);
    await Promise.all(down.map((server) => server.restart()));
    await cluster.waitHealthy();
    const { discovery: d } = await hall.join({ nodeId: "d", ...SHORT }, { servers: up!.url });
    await passed(2 * SHORT.heartbeatTtl);
    assertEquals(idsOf(d.view), ["a", "b", "c", "d"]);
    assertEquals([livesOf(nodes), d.view.departed], [before, []]);
    assertEquals((await heartbeatsOf(hall.scene.namespace, nodes[0]!)).length, 4);
  },
);

nodesTest(
  "a watch that is cut off for longer than markers last is right again after one comparison",
  async (hall) => {
    const traces = { ...SHORT, markerTtl: 1000, reconcile: 1000 };
    const a = await hall.join({ nodeId: "a", ...traces });
    const b = await hall.join({ nodeId: "b", ...traces });
    const proxy = hall.scene.proxy();
    const deaf = await hall.join({ nodeId: "deaf", ...traces }, { servers: proxy.url });
    // Pings reach it, and nothing of the bucket does.
    const meal = proxy.eatFromServer(({ verb, line }) =>
      /^H?MSG$/.test(verb) && !line.includes(".ping ")
    );
    await hall.crash(b);
    await membersAre(a.discovery, "a", "deaf");
    const bucket = await Bucket.open(a.connection, { bucket: clusterBucket(hall.scene.namespace) });
    const key = `node.b.${b.discovery.incarnation}`;
    while ((await bucket.get(key)).revision > 0) await passed(50);
    await bucket.close();
    assertEquals(idsOf(deaf.discovery.view), ["a", "b", "deaf"]);
    meal.stop();
    const began = performance.now();
    await membersAre(deaf.discovery, "a", "deaf");
    assert(performance.now() - began < 60_000);
    assertEquals(a.discovery.view.departed.map(({ nodeId }) => nodeId), ["b"]);
  },
);

nodesTest("a lost view is written again, and versions still grow", async (hall) => {
  const a = await hall.join({ nodeId: "a" });
  const { discovery: b } = await hall.join({ nodeId: "b" });
  const { version } = await membersAre(b, "a", "b");
  const bucket = await Bucket.open(a.connection, { bucket: clusterBucket(hall.scene.namespace) });
  await bucket.remove("view", (await bucket.get("view")).revision);
  await bucket.close();
  const { discovery: c } = await hall.join({ nodeId: "c" });
  assertEquals(idsOf(c.view), ["a", "b", "c"]);
  assert(c.view.version > version);
});

nodesTest("stored data that is no view is reported, and replaced", async (hall) => {
  const reported = Promise.withResolvers<unknown>();
  const a = await hall.join({ nodeId: "a", onError: reported.resolve });
  const { view } = a.discovery;
  const bucket = await Bucket.open(a.connection, { bucket: clusterBucket(hall.scene.namespace) });
  const nonsense = new TextEncoder().encode("{}");
  const entry = await bucket.get("view");
  await bucket.put("view", nonsense, entry);
  assert(await reported.promise instanceof TypeError);
  while (a.discovery.view.version <= view.version) await passed(10);
  assertEquals(a.discovery.view.members, view.members);
  assertEquals(decodeView((await bucket.get("view")).value!), a.discovery.view);
  await bucket.close();
});

nodesTest("a node whose server is gone for good can still be disposed of", async (hall) => {
  const { discovery } = await hall.join({ nodeId: "a", timeout: 1000, ...SHORT });
  await hall.scene.server.kill();
  await discovery[Symbol.asyncDispose]();
  assert(discovery.signal.aborted);
  await hall.scene.server.restart();
});

nodesTest("a node that is out of the view, and whose connection is closed, rests", async (hall) => {
  const a = await hall.join({ nodeId: "a" });
  const b = await hall.join({ nodeId: "b" });
  const { nodeId, incarnation } = b.discovery;
  const bucket = await Bucket.open(a.connection, { bucket: clusterBucket(hall.scene.namespace) });
  const isOut = viewIs(b.discovery, ({ members }) => members.length === 1);
  await new ViewStore(bucket, "test").write(() => [
    { type: "depart", nodeId, incarnation, how: "crashed" },
  ]);
  await isOut;
  await hall.crash(b); // While it joins again: more attempts would block the event loop.
  await passed(50);
  await b.discovery[Symbol.asyncDispose]();
  await bucket.close();
});

/** The heartbeats in the bucket. */
async function heartbeatsOf(namespace: string, { connection }: TestNode): Promise<string[]> {
  const bucket = await Bucket.open(connection, { bucket: clusterBucket(namespace) });
  try {
    return (await bucket.list("node.*.*")).map(({ key }) => key);
  } finally {
    await bucket.close();
  }
}
