import { assertEquals } from "@std/assert";
import { othersDeath } from "./chaos/others_death.ts";
import { Chaos } from "./chaos/scenario.ts";
import { clusterNodesTest, membersAre, viewIs } from "./discovery_bed.ts";

clusterNodesTest(
  "a NATS server that is killed under load costs no member its life",
  async (hall, cluster) => {
    await othersDeath(hall, cluster, new Chaos(1, 0), { kills: 3, down: 1000 });
  },
);

clusterNodesTest(
  "a member that crashes is told, though it was the only one on its server",
  async (hall, cluster) => {
    const nodes = [];
    for (const [at, { url }] of cluster.servers.entries()) {
      nodes.push(await hall.join({ nodeId: `n${at}` }, { servers: url }));
    }
    const [first, second, third] = nodes;
    await membersAre(second!.discovery, "n0", "n1", "n2");
    await hall.crash(first!);
    const view = await viewIs(third!.discovery, ({ coordinator }) => coordinator === "n1");
    assertEquals(view.departed.map(({ nodeId, how }) => [nodeId, how]), [["n0", "crashed"]]);
    await membersAre(second!.discovery, "n1", "n2");
  },
);
