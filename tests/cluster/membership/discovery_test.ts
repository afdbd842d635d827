import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { isAetherError } from "../../../store/mod.ts";
import { Discovery } from "../../../cluster/membership/discovery.ts";
import { idsOf, membersAre, nextChange, nodesTest, viewIs } from "./discovery_bed.ts";
import { natsTest } from "../../support/fixture.ts";

nodesTest(
  "nodes that join are in the view of all, with their descriptions",
  async (hall) => {
    const { discovery: a } = await hall.join({ nodeId: "a" });
    assertEquals(idsOf(a.view), ["a"]);
    const { discovery: b } = await hall.join({
      nodeId: "b",
      capacity: 2.5,
      metadata: { zone: "west" },
    });
    await membersAre(a, "a", "b");
    assertEquals(b.view.members[1], {
      nodeId: "b",
      incarnation: b.incarnation,
      metadata: { zone: "west" },
      capacity: 2.5,
      status: "up",
    });
    assertEquals(a.view, b.view);
    assertEquals([a.view.coordinator, a.coordinates, b.coordinates], ["a", true, false]);
  },
);

nodesTest("many nodes that join at once are all in the view", async (hall) => {
  const nodes = await Promise.all(Array.from({ length: 12 }, () => hall.join()));
  for (const { discovery } of nodes) {
    await viewIs(discovery, ({ members }) => members.length === 12);
  }
  await Promise.all(nodes.map(({ discovery }) => discovery.leave()));
});

nodesTest(
  "a node that leaves is out of the view at once, also the one that coordinates",
  async (hall) => {
    const { discovery: a } = await hall.join({ nodeId: "a" });
    const { discovery: b } = await hall.join({ nodeId: "b" });
    const { discovery: c } = await hall.join({ nodeId: "c" });
    const left = nextChange(c, "left");
    await a.leave();
    await left;
    assert(a.signal.aborted);
    const view = await viewIs(c, ({ coordinator }) => coordinator === "b");
    assertEquals(idsOf(view), ["b", "c"]);
    await b.leave();
    await viewIs(c, ({ coordinator }) => coordinator === "c");
  },
);

nodesTest("a node that retires remains a member, and no longer coordinates", async (hall) => {
  const { discovery: a } = await hall.join({ nodeId: "a" });
  const { discovery: b } = await hall.join({ nodeId: "b" });
  await a.retire();
  const view = await viewIs(b, ({ coordinator }) => coordinator === "b");
  assertEquals(view.members.map(({ nodeId, status }) => [nodeId, status]), [
    ["a", "leaving"],
    ["b", "up"],
  ]);
});

nodesTest("a process that is gone is taken out of the view", async (hall) => {
  const { discovery: a } = await hall.join({ nodeId: "a" });
  const b = await hall.join({ nodeId: "b" });
  const { discovery: c } = await hall.join({ nodeId: "c" });
  await hall.crash(b);
  await membersAre(c, "a", "c");
  await membersAre(a, "a", "c");
});

nodesTest("when the coordinator is gone, the oldest other member takes its place", async (hall) => {
  const a = await hall.join({ nodeId: "a" });
  const { discovery: b } = await hall.join({ nodeId: "b" });
  const { discovery: c } = await hall.join({ nodeId: "c" });
  await hall.crash(a);
  const view = await viewIs(c, ({ coordinator }) => coordinator === "b");
  assertEquals(idsOf(view), ["b", "c"]);
  assert(b.coordinates && !c.coordinates);
});

nodesTest("a process that joins by the name of a member takes its place", async (hall) => {
  const { discovery: a } = await hall.join({ nodeId: "a" });
  const { discovery: old } = await hall.join({ nodeId: "b" });
  const changes = old.changes();
  const { discovery: young } = await hall.join({ nodeId: "b" });
  assert(young.incarnation > old.incarnation);
  const error = await assertRejects(async () => {
    // A replaced process that came back would take turns with the other one, endlessly.
    let replaced = 0;
    for await (const { type } of changes) {
      if (type === "replaced") assert(++replaced < 4, "it has come back");
    }
  });
  assert(isAetherError(error, "NodeReplacedError") && error.replacedBy === young.incarnation);
  assertStrictEquals(old.signal.reason, error);
  await viewIs(a, ({ members }) => members.at(-1)?.incarnation === young.incarnation);
  await old.leave();
  assertEquals(idsOf(a.view), ["a", "b"]);
});

nodesTest("the load of all nodes can be asked for", async (hall) => {
  const { discovery: a } = await hall.join({ nodeId: "a", load: () => 7 });
  await hall.join({ nodeId: "b" });
  await hall.join({ nodeId: "c", load: () => 0.5 });
  assertEquals([...await a.loads()].sort(), [["a", 7], ["c", 0.5]]);
});

natsTest("impossible timings and names are refused before anything is sent", async (scene) => {
  const connection = await scene.connect();
  for (
    const options of [
      { heartbeatTtl: 1500 },
      { heartbeatTtl: 3000, heartbeat: 1500 },
      { ping: 0 },
      { crash: 1000 },
      { outage: 3000 },
      { outage: 600 },
      { capacity: -1 },
      { capacity: NaN },
      { nodeId: "" },
    ]
  ) {
    await assertRejects(() => Discovery.join(connection, options), RangeError);
  }
  const metadata = { port: 1 } as unknown as Record<string, string>;
  await assertRejects(() => Discovery.join(connection, { metadata }), TypeError);
});
