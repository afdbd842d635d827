import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  beginHandoff,
  handoff,
  type HandoffEffect,
  type HandoffFact,
  type HandoffState,
} from "../../../cluster/sharding/handoff.ts";
import type { FenceHolder } from "../../../store/errors.ts";

const SELF = { nodeId: "a", incarnation: "1" };

/** Tells the facts one after the other; gives where that leads, and the last one's effects. */
function after(...facts: HandoffFact[]): { state: HandoffState; effects: string[] } {
  let state = beginHandoff(SELF);
  let effects: readonly HandoffEffect[] = [];
  for (const fact of facts) ({ state, effects } = handoff(state, fact));
  return { state, effects: effects.map((effect) => Object.values(effect).join(" ")) };
}

function fence(
  nodeId: string,
  mapVersion: number,
  state: FenceHolder["state"] = "claimed",
  incarnation = "1",
): FenceHolder {
  return { nodeId, incarnation, mapVersion, state, sequence: 10 * mapVersion };
}

const mine = (mapVersion: number): HandoffFact => ({ kind: "map", mapVersion, mine: true });
const notMine = (mapVersion: number): HandoffFact => ({ kind: "map", mapVersion, mine: false });
const read = (fence?: FenceHolder): HandoffFact => ({ kind: "read", fence });
const claimed = (sequence: number): HandoffFact => ({ kind: "claimed", sequence });
const SERVING = [mine(1), read(), claimed(5), { kind: "replayed", claim: 5 } as const];

Deno.test("a free shard is claimed, replayed up to the claim, and served", () => {
  assertEquals(after(mine(3)).effects, ["read"]);
  for (const free of [undefined, fence("b", 2, "released"), fence("a", 2)]) {
    assertEquals(after(mine(3), read(free)).effects, ["claim 3"]);
  }
  assertEquals(after(mine(1), read(), claimed(5)).effects, ["replay 5"]);
  assertEquals(after(...SERVING).effects, ["serve 5"]);
  assertEquals(after(...SERVING).state.phase, "serving");
});

Deno.test("a shard that moves away is drained, then released, then reported free", () => {
  assertEquals(after(...SERVING, notMine(2)).effects, ["drain 5"]);
  assertEquals(after(...SERVING, { kind: "asked", mapVersion: 2 }).effects, ["drain 5"]);
  const drained = [...SERVING, notMine(2), { kind: "drained", claim: 5 } as const];
  assertEquals(after(...drained).effects, ["release 5"]);
  assertEquals(after(...drained, { kind: "unreleased" }).effects, ["release 5"]);
  const { state, effects } = after(...drained, { kind: "released" });
  assertEquals([state.phase, state.claim, ...effects], ["idle", 0, "answer released"]);
});

Deno.test("a process that leaves releases its shards, and takes none any more", () => {
  assertEquals(after(...SERVING, { kind: "leave" }).effects, ["drain 5"]);
  assertEquals(after({ kind: "leave" }, mine(2)).state.phase, "idle");
});

Deno.test("the holder of a shard is asked once; without an answer the shard is claimed by force", () => {
  const asking = [mine(3), read(fence("b", 2))];
  const { state, effects } = after(...asking);
  assertEquals(state.phase, "asking");
  assertEquals(effects, ["ask [object Object] 3"]);
  for (const answer of ["released", "nothing"] as const) {
    const answered = [...asking, { kind: "answered", sequence: 20, answer } as const];
    assertEquals(after(...answered).effects, ["read"]);
    assertEquals(after(...answered, read(fence("b", 2))).effects, ["claim 3"]);
    // A process that has taken it in the meantime is asked in turn.
    assertEquals(
      after(...answered, read({ ...fence("c", 2), sequence: 21 })).state.phase,
      "asking",
    );
  }
});

Deno.test("a later incarnation of the same node is asked like any other", () => {
  assertEquals(after(mine(3), read(fence("a", 2, "claimed", "2"))).state.phase, "asking");
});

Deno.test("the fence is not claimed under a map that is older than its own", () => {
  for (const newer of [fence("b", 3), fence("b", 4, "released"), fence("a", 3, "claimed", "2")]) {
    const { state, effects } = after(mine(3), read(newer));
    assertEquals([state.phase, effects], ["idle", []]);
    assertEquals(after(mine(3), read(newer), mine(5)).effects, ["read"]);
  }
  const newer = { kind: "answered", sequence: 20, answer: "newer" } as const;
  assertEquals(after(mine(3), read(fence("b", 2)), newer).state.phase, "idle");
});

Deno.test("a deposed owner stops at once, and claims again only over an older map", () => {
  const deposed = [...SERVING, { kind: "fenced", claim: 5 } as const];
  assertEquals(after(...deposed).effects, ["stop 5", "answer released", "read"]);
  assertEquals(after(...deposed, read(fence("b", 2))).state.phase, "idle");
  const later = [...deposed, read(fence("b", 2)), mine(3), read(fence("b", 2))];
  assertEquals(after(...later).state.phase, "asking");
  // A save of an earlier claim may be refused long after: it says nothing of this one.
  assertEquals(after(...SERVING, { kind: "fenced", claim: 4 }).state.phase, "serving");
});

Deno.test("a holder under a newer map says so; a process without the shard says that at once", () => {
  assertEquals(after(...SERVING, mine(4), { kind: "asked", mapVersion: 3 }).effects, [
    "answer newer",
  ]);
  assertEquals(after({ kind: "asked", mapVersion: 3 }).effects, ["answer released"]);
  const waits = after(mine(1), read(), { kind: "asked", mapVersion: 2 });
  assertEquals([waits.state.phase, waits.effects], ["claiming", []]);
});

Deno.test("a claim that came too late is released, an unknown one is read back", () => {
  assertEquals(after(mine(1), read(), notMine(2), claimed(5)).effects, ["release 5"]);
  assertEquals(after(mine(1), read(), { kind: "unclaimed" }).effects, ["answer released", "read"]);
  assertEquals(after(mine(1), read(), { kind: "refused" }).effects, ["answer released", "read"]);
  assertEquals(after(mine(1), { kind: "unread" }).effects, ["read"]);
  assertEquals(after(mine(1), notMine(2), { kind: "unread" }).state.phase, "idle");
});

Deno.test("a map that is older than another, or comes again, changes nothing", () => {
  const serving = after(...SERVING, mine(4)).state;
  for (const stale of [notMine(3), notMine(4), mine(4)]) {
    const { state, effects } = handoff(serving, stale);
    assertEquals([state, effects], [serving, []]);
  }
});

const version = fc.integer({ min: 1, max: 6 });
const sequence = fc.integer({ min: 0, max: 60 });
const holder: fc.Arbitrary<FenceHolder> = fc.record({
  nodeId: fc.constantFrom("a", "b"),
  incarnation: fc.constantFrom("1", "2"),
  mapVersion: version,
  state: fc.constantFrom("claimed", "released"),
  sequence,
}, { noNullPrototype: true });
const facts: fc.Arbitrary<HandoffFact> = fc.oneof(
  fc.record({ kind: fc.constant("map"), mapVersion: version, mine: fc.boolean() }),
  fc.record({ kind: fc.constant("asked"), mapVersion: version }),
  fc.record({ kind: fc.constant("read"), fence: fc.option(holder, { nil: undefined }) }),
  fc.record({
    kind: fc.constant("answered"),
    sequence,
    answer: fc.constantFrom("released", "newer", "nothing"),
  }),
  fc.record({ kind: fc.constant("claimed"), sequence: fc.integer({ min: 1, max: 60 }) }),
  fc.record({
    kind: fc.constantFrom("replayed", "unreplayed", "drained", "fenced"),
    claim: sequence,
  }),
  fc.record({
    kind: fc.constantFrom("leave", "unread", "refused", "unclaimed", "released", "unreleased"),
  }),
) as fc.Arbitrary<HandoffFact>;

Deno.test("no order of facts, likely or not, confuses a process", () => {
  fc.assert(
    fc.property(fc.array(facts, { maxLength: 60 }), (facts) => {
      let state = beginHandoff(SELF);
      for (const fact of facts) {
        const next = handoff(state, fact);
        assertEquals(JSON.parse(JSON.stringify(next.state)), next.state, "not plain data");
        assert(next.state.mapVersion >= state.mapVersion);
        const has = ["replaying", "serving", "draining", "releasing"].includes(next.state.phase);
        assertEquals(next.state.claim !== 0, has, `${next.state.phase} and ${next.state.claim}`);
        const works = next.effects.filter(({ kind }) =>
          ["read", "claim", "replay", "release"].includes(kind)
        );
        assert(works.length <= 1, "more than one thing to do at a time");
        for (const effect of next.effects) {
          if (effect.kind === "claim") assert(next.state.mine, "claims what is not its own");
          if (effect.kind === "claim") assertEquals(effect.mapVersion, next.state.mapVersion);
        }
        if (next.state.leaving) assert(!next.state.mine);
        state = next.state;
      }
    }),
    { numRuns: 1000 },
  );
});
