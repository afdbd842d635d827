import { assert, assertEquals } from "@std/assert";
import { clusterNodesTest, idsOf, membersAre, viewIs } from "./discovery_bed.ts";
import { othersDeath } from "./others_death.ts";

clusterNodesTest(
  "a NATS server that is killed under load costs no member its life",
  async (hall, cluster) => {
    const { disconnected } = await othersDeath(hall, cluster, 3);
    assert(disconnected > 0, "some members were on the servers that were killed");
  },
);

clusterNodesTest(
  "a member that crashes is told from others, on whatever server it was",
  async (hall, cluster) => {
    const nodes = await Promise.all(cluster.servers.map(async ({ url }, at) => {
      return await hall.join({ nodeId: `n${at}` }, { servers: url });
    }));
    const [a, b, c] = nodes;
    await viewIs(a!.discovery, ({ members }) => members.length === 3);
    const [first, second, third] = idsOf(a!.discovery.view).map((id) =>
      nodes.find(({ discovery }) => discovery.nodeId === id)!
    );
    await hall.crash(first!);
    const view = await viewIs(
      third!.discovery,
      ({ coordinator }) => coordinator === second!.discovery.nodeId,
    );
    assertEquals(view.departed.map(({ how }) => how), ["crashed"]);
    assert(b !== undefined && c !== undefined);
    await membersAre(second!.discovery, second!.discovery.nodeId, third!.discovery.nodeId);
  },
);
