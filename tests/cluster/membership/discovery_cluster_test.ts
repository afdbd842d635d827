import { assertEquals } from "@std/assert";
import { othersDeath } from "../../chaos/others_death.ts";
import { Chaos } from "../../chaos/scenario.ts";
import {
  clusterNodesTest,
  membersAre,
  nextChange,
  type TestNode,
  viewIs,
} from "./discovery_bed.ts";
import { nextStatus } from "../../support/fixture.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

clusterNodesTest(
  "a NATS server that is killed under load costs no member its membership",
  async (hall, cluster) => {
    await othersDeath(hall, cluster, new Chaos(1, 0), { kills: LONG ? 3 : 1, down: 1000 });
  },
);

clusterNodesTest(
  "a member that crashes is reported, though it was the only one on its server",
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

clusterNodesTest(
  "members of one server that are cut off together are not taken for dead, one that crashes then is",
  async (hall, { servers: [here, there] }) => {
    const near = [];
    for (const nodeId of ["a", "b", "c", "d"]) {
      near.push(await hall.join({ nodeId }, { servers: here!.url }));
    }
    const proxy = hall.scene.proxy(there!);
    const far = [];
    for (const nodeId of ["e", "f"]) far.push(await hall.join({ nodeId }, { servers: proxy.url }));
    const lives = far.map(({ discovery }) => discovery.incarnation);
    const [{ discovery: a }, , , d] = near as [TestNode, TestNode, TestNode, TestNode];
    await membersAre(a, "a", "b", "c", "d", "e", "f");
    hall.crashed += 2; // the server deletes the subscriptions of the two only later
    const crash = nextChange(a, "crashed");
    proxy.refusing = true;
    proxy.cut();
    await new Promise((resolve) => setTimeout(resolve, 1500)); // Not together with the others.
    await hall.crash(d);
    const change = await crash; // Long after the two would have been out.
    assertEquals("member" in change && change.member.nodeId, "d");
    const back = far.map(({ connection }) => nextStatus(connection, "reconnect"));
    proxy.refusing = false;
    await Promise.all(back);
    await far[0]!.discovery.retire();
    const view = await viewIs(a, ({ members }) => members.at(-2)?.status === "leaving");
    assertEquals(view.departed.map(({ nodeId, how }) => [nodeId, how]), [["d", "crashed"]]);
    assertEquals(far.map(({ discovery }) => discovery.incarnation), lives);
  },
);
