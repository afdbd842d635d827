import { assert, assertEquals, assertRejects } from "@std/assert";
import { Cluster, Discovery, Election, FencedEventStore } from "../../cluster/mod.ts";
import { StreamConfigError } from "../../store/mod.ts";
import { leafTest } from "../store/jetstream/leaf.ts";

for (const domains of [{ hub: "hub", leaf: "leaf" }, {}]) {
  const named = domains.hub === undefined ? "without domains" : "in two domains";
  leafTest(`Nodes beside two JetStreams ${named} do not take each other's views`, async (scene) => {
    const { namespace, hub, leaf } = scene;
    await scene.link();
    await using a = await Discovery.join(hub, { namespace, nodeId: "a" });
    await using b = await Discovery.join(leaf, { namespace, nodeId: "b" });
    await using c = await Discovery.join(leaf, { namespace, nodeId: "c" });
    const idsOf = ({ view }: Discovery) => view.members.map(({ nodeId }) => nodeId);
    while (idsOf(b).length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    assertEquals([idsOf(a), idsOf(b), idsOf(c)], [["a"], ["b", "c"], ["b", "c"]]);
    // The bucket of another domain is another cluster's; the event stream there is refused.
    const joining = Cluster.join(leaf, { namespace: `${namespace}-2`, nodeId: "d", shards: 8 });
    await using d = await joining;
    assertEquals(d.view.members.map(({ nodeId }) => nodeId), ["d"]);
    const other = () => Cluster.join(hub, { namespace: `${namespace}-2`, nodeId: "e", shards: 8 });
    await assertRejects(other, StreamConfigError, "another stream has the subject");
  }, domains);
}

leafTest("Nodes on both sides are one cluster if all name one domain", async (scene) => {
  const { namespace, hub, leaf } = scene;
  await scene.link();
  const join = async (connection: typeof hub, nodeId: string) => {
    const cluster = await Cluster.join(connection, { namespace, nodeId, shards: 8, domain: "hub" });
    cluster.handle(() => nodeId);
    return cluster;
  };
  await using a = await join(hub, "a");
  await using b = await join(leaf, "b");
  const replies = async (from: Cluster) => {
    const actors = Array.from({ length: 20 }, (_, at) => `order-${at}`);
    return await Promise.all(actors.map((actorId) => from.send(actorId, {})));
  };
  while (new Set(await replies(a)).size < 2) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assertEquals(await replies(a), await replies(b));
  assertEquals(a.leader, b.leader);
  assert(a.leader !== undefined);
  await using election = await Election.open(leaf, { namespace, nodeId: "c", domain: "hub" });
  assertEquals((await election.leader())?.nodeId, a.leader.nodeId);
  await using fenced = await FencedEventStore.open(leaf, { namespace, nodeId: "c", domain: "hub" });
  assertEquals((await fenced.fences()).size, 8);
});
