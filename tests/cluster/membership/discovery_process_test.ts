import { assert, assertEquals } from "@std/assert";
import { idsOf, membersAre, nextChange, nodesTest, viewIs } from "./discovery_bed.ts";
import { NodeProcess } from "./discovery_process.ts";

/** As low as they can be. */
const SHORT = { heartbeatTtl: 2000, heartbeat: 400 };

nodesTest(
  "a killed process is distinguished from one that hangs, by its heartbeat",
  async (hall) => {
    const { scene: { namespace, server } } = hall;
    const { discovery: a } = await hall.join({ nodeId: "a", ...SHORT });
    const start = (nodeId: string) =>
      new NodeProcess([server.url], { namespace, nodeId, ...SHORT, heartbeatTtl: 6000 });
    await using killed = start("killed");
    await using frozen = start("frozen");
    await Promise.all([killed.joined(), frozen.joined()]);
    for (const nodeId of ["b", "c"]) await hall.join({ nodeId, ...SHORT });
    await viewIs(a, ({ members }) => members.length === 5);
    const crashed = nextChange(a, "crashed");
    const hung = nextChange(a, "hung");
    const began = performance.now();
    await frozen.stop();
    await killed.kill();
    hall.crashed++;
    const crash = await crashed;
    assert(crash.type === "crashed" && crash.member.nodeId === "killed");
    assert(performance.now() - began >= 2500, "nobody is taken for crashed before 2.5 s");
    assert(idsOf(crash.view).includes("frozen"));
    const hang = await hung;
    assert(hang.type === "hung" && hang.member.nodeId === "frozen");
    assert(performance.now() - began >= 5000, "a heartbeat lasts as long as it says");
    frozen.resume();
    await frozen.joined();
  },
);

nodesTest(
  "a process that was frozen learns that it was taken for gone, and comes back as another incarnation",
  async (hall) => {
    const { scene: { namespace, server } } = hall;
    const { discovery: a } = await hall.join({ nodeId: "a", ...SHORT });
    await using frozen = new NodeProcess([server.url], { namespace, nodeId: "b", ...SHORT });
    const first = await frozen.joined();
    await membersAre(a, "a", "b");
    await frozen.stop();
    await membersAre(a, "a");
    frozen.resume();
    const second = await frozen.joined();
    assert(second > first);
    await viewIs(a, ({ members }) => members.some(({ incarnation }) => incarnation === second));
  },
);

nodesTest("a coordinator that hangs is replaced when its heartbeat has expired", async (hall) => {
  const { scene: { namespace, server } } = hall;
  await using frozen = new NodeProcess([server.url], { namespace, nodeId: "a", ...SHORT });
  await frozen.joined();
  const { discovery: b } = await hall.join({ nodeId: "b", ...SHORT });
  const { discovery: c } = await hall.join({ nodeId: "c", ...SHORT });
  assertEquals(c.view.coordinator, "a");
  await frozen.stop();
  await viewIs(c, ({ coordinator }) => coordinator === "b");
  await membersAre(c, "b", "c");
  assert(b.coordinates);
  frozen.resume();
  await frozen.joined();
  await membersAre(c, "b", "c", "a");
});
