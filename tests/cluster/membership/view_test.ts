import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { changesBetween } from "../../../cluster/membership/changes.ts";
import { successionOf, turnOf } from "../../../cluster/membership/succession.ts";
import {
  type ClusterView,
  EMPTY_VIEW,
  memberOf,
  nextView,
  type ViewStep,
} from "../../../cluster/membership/view.ts";
import {
  decodeStep,
  decodeView,
  encodeStep,
  encodeView,
} from "../../../cluster/membership/view_json.ts";

const node = (nodeId: string, incarnation: string) => ({
  nodeId,
  incarnation,
  metadata: {},
  capacity: 1,
});
const join = (nodeId: string, incarnation = "1"): ViewStep => ({
  type: "join",
  node: node(nodeId, incarnation),
});
const names = fc.constantFrom("a", "b", "c", "d");
const lives = fc.constantFrom("1", "2", "3");
const steps = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constant("join" as const),
      node: fc.record({
        nodeId: names,
        incarnation: lives,
        metadata: fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 }),
        capacity: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
      }),
    }),
    fc.record({ type: fc.constant("retire" as const), nodeId: names, incarnation: lives }),
    fc.record({
      type: fc.constant("depart" as const),
      nodeId: names,
      incarnation: lives,
      how: fc.constantFrom("left" as const, "crashed" as const, "hung" as const),
    }),
    fc.record({ type: fc.constant("coordinate" as const), nodeId: names }),
  ),
  { maxLength: 30 },
);

/** All views on the way. */
function viewsOf(steps: readonly ViewStep[]): ClusterView[] {
  const views = [EMPTY_VIEW];
  for (const step of steps) views.push(nextView(views.at(-1)!, [step]));
  return views;
}

Deno.test("versions grow by one with each change, and a step that changes nothing makes no view", () => {
  fc.assert(fc.property(steps, (steps) => {
    const views = viewsOf(steps);
    for (const [at, view] of views.slice(1).entries()) {
      const before = views[at]!;
      assert(view === before || view.version === before.version + 1);
      const { version: _, ...facts } = view;
      const { version: __, ...factsBefore } = before;
      if (view !== before) assert(JSON.stringify(facts) !== JSON.stringify(factsBefore));
    }
  }));
});

Deno.test("an incarnation that has left is never a member again, and no node is listed twice", () => {
  fc.assert(fc.property(steps, (steps) => {
    const gone = new Set<string>();
    let before = EMPTY_VIEW;
    for (const view of viewsOf(steps)) {
      for (const { nodeId, incarnation } of before.members) {
        if (memberOf(view, nodeId, incarnation) === undefined) gone.add(`${nodeId} ${incarnation}`);
      }
      const ids = view.members.map(({ nodeId }) => nodeId);
      assertEquals(new Set(ids).size, ids.length);
      assert(view.members.every((member) => !gone.has(`${member.nodeId} ${member.incarnation}`)));
      assert(view.coordinator === undefined || ids.includes(view.coordinator));
      before = view;
    }
  }));
});

Deno.test("a coordinator that has left coordinates no more, and comes back as another incarnation", () => {
  const depart = { type: "depart", nodeId: "a", incarnation: "1", how: "crashed" } as const;
  const left = [join("a"), join("b"), depart];
  const [view, again, later] = [left, [...left, join("a")], [...left, join("a", "2")]]
    .map((steps) => viewsOf(steps).at(-1)!);
  assertEquals(view!.coordinator, undefined);
  assertEquals(again, view);
  assertEquals(later!.members.map(({ nodeId }) => nodeId), ["b", "a"]);
});

Deno.test("members are listed in the order in which they joined", () => {
  const view = viewsOf([join("b"), join("a"), join("c"), join("b", "2")]).at(-1)!;
  assertEquals(view.members.map(({ nodeId }) => nodeId), ["a", "c", "b"]);
  assertEquals(view.departed, [{ nodeId: "b", incarnation: "1", how: "replaced" }]);
});

Deno.test("an earlier incarnation does not take the place of a later one", () => {
  const views = viewsOf([join("a", "2"), join("a", "1"), join("a", "2")]);
  assertEquals(views.map(({ version }) => version), [0, 1, 1, 1]);
});

Deno.test("a view survives being stored and read again", () => {
  fc.assert(fc.property(steps, (steps) => {
    const view = viewsOf(steps).at(-1)!;
    if (view.version > 0) {
      // JSON knows no -0.
      const plain = (of: ClusterView) => JSON.stringify(of);
      assertEquals(plain(decodeView(encodeView(view, "w"))), plain(view));
    }
    for (const step of steps) {
      const isAllowed = step.type === "join" || step.type === "retire" ||
        (step.type === "depart" && step.how === "left");
      const read = decodeStep(encodeStep(step, "hub 2026"));
      assertEquals(JSON.stringify(read), isAllowed ? JSON.stringify(step) : undefined);
    }
  }));
});

Deno.test("data that is no view is refused, and so is a view of a later format", () => {
  const good = JSON.parse(new TextDecoder().decode(encodeView(viewsOf([join("a")]).at(-1)!, "w")));
  const [member] = good.members;
  const bad: unknown[] = [
    null,
    [],
    "view",
    { ...good, format: 2 },
    { ...good, version: 0 },
    { ...good, version: 1.5 },
    { ...good, members: {} },
    { ...good, members: [member, member] },
    { ...good, members: [{ ...member, nodeId: "" }] },
    { ...good, members: [{ ...member, incarnation: 1 }] },
    { ...good, members: [{ ...member, metadata: { a: 1 } }] },
    { ...good, members: [{ ...member, capacity: -1 }] },
    { ...good, members: [{ ...member, capacity: null }] },
    { ...good, members: [{ ...member, status: "down" }] },
    { ...good, coordinator: "b" },
    { ...good, departed: [{ nodeId: "a", incarnation: "0", how: "bored" }] },
    { ...good, departed: undefined },
  ];
  for (const view of bad) {
    const body = new TextEncoder().encode(JSON.stringify(view));
    assertThrows(() => decodeView(body), TypeError, "Cannot read the view");
  }
  assertThrows(() => decodeView(new TextEncoder().encode("{")), TypeError);
});

Deno.test("views cannot be changed", () => {
  const { members } = nextView(EMPTY_VIEW, [join("a")]);
  assertThrows(() => (members as unknown[]).push(1), TypeError);
  assertThrows(() => (members[0]!.metadata as Record<string, string>).a = "b", TypeError);
});

Deno.test("all changes between two views lead from the members of one to those of the other", () => {
  fc.assert(fc.property(steps, fc.nat(), (steps, from) => {
    const views = viewsOf(steps);
    const before = views[from % views.length]!;
    const after = views.at(-1)!;
    const lives = new Set(before.members.map((member) => member.nodeId + member.incarnation));
    for (const change of changesBetween(before, after)) {
      if (change.type === "coordinator" || change.type === "leaving") continue;
      const life = change.member.nodeId + change.member.incarnation;
      if (change.type === "joined") lives.add(life);
      else assert(lives.delete(life));
    }
    const expected = after.members.map((member) => member.nodeId + member.incarnation);
    assertEquals([...lives].sort(), expected.sort());
  }));
});

Deno.test("the leader coordinates, then the oldest, and those that leave last", () => {
  const view = viewsOf([
    join("a"),
    join("b"),
    join("c"),
    { type: "retire", nodeId: "a", incarnation: "1" },
  ]).at(-1)!;
  const order = (nodeId?: string, incarnation?: string) =>
    successionOf(
      view,
      nodeId === undefined
        ? undefined
        : { nodeId, term: 1, ...(incarnation !== undefined && { incarnation }) },
    ).map((member) => member.nodeId).join("");
  assertEquals([order(), order("c"), order("x"), order("a")], ["bca", "cba", "bca", "abc"]);
  assertEquals([order("c", "1"), order("c", "0")], ["cba", "bca"]);
});

Deno.test("a node coordinates once all before it are out, and watches up to the first alive", () => {
  const view = nextView(EMPTY_VIEW, [join("a"), join("b"), join("c"), join("d")]);
  const leader = { nodeId: "b", term: 1 };
  const turn = (nodeId: string, out: string, suspects = "") => {
    const { isNext, watched } = turnOf(nodeId, view, leader, {
      outOf: (member) => out.includes(member.nodeId) ? "crashed" : undefined,
      verdict: (member) => (out + suspects).includes(member.nodeId) ? "suspected" : "alive",
    });
    return [isNext, watched.map((member) => member.nodeId).join("")];
  };
  assertEquals(turn("b", ""), [true, "acd"]);
  assertEquals(turn("a", ""), [false, "b"]);
  assertEquals(turn("c", ""), [false, "b"]);
  assertEquals(turn("c", "b"), [false, "ba"]);
  assertEquals(turn("c", "ab"), [true, "abd"]);
  // One that may be out is not out yet, and the next one is watched as well.
  assertEquals(turn("d", "", "b"), [false, "ba"]);
  assertEquals(turn("d", "ac", "b"), [false, "abc"]);
});
