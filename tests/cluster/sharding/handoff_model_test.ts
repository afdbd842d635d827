import { assert, assertMatch } from "@std/assert";
import { explore } from "../../support/explore.ts";
import { unlessSkipped } from "../../support/skip.ts";
import { RULES, type Rules } from "./handoff_draft.ts";
import { handoffModel } from "./handoff_model.ts";
import type { Bounds } from "./handoff_world.ts";

/** With `AETHER_LONG=1`, far more is visited: gigabytes, and many minutes. */
const isLong = Deno.env.get("AETHER_LONG") === "1";

const NOTHING: Bounds = { maps: 0, saves: 0, looks: 0, faults: 0, crashes: 0, leaves: 0 };

/** Visits everything within the bounds, and reports each violation. */
function visit(bounds: Partial<Bounds>, least: number, kinds: readonly string[] = []): void {
  const start = performance.now();
  const found = explore(handoffModel({ ...NOTHING, ...bounds }), 12_000_000);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${found.states} states, ${found.moves} moves in ${seconds} s`);
  const { violation } = found;
  assert(violation === undefined, violation && [violation.rule, ...violation.trace].join("\n  "));
  assert(found.states >= least, `only ${found.states} states: something cannot happen any more`);
  for (const kind of kinds) assert(found.kinds.has(kind), `"${kind}" never happens`);
}

/** Visits until the broken rule is found to break a promise. */
function findsBroken(rule: keyof Rules, bounds: Partial<Bounds>, promise: RegExp): void {
  const { violation } = explore(
    handoffModel({ ...NOTHING, ...bounds }, { ...RULES, [rule]: false }),
  );
  assert(violation !== undefined, `nothing goes wrong without "${rule}"`);
  if (isLong) console.log([violation.rule, ...violation.trace].join("\n  "));
  assertMatch(violation.rule, promise);
  assert(violation.trace.length > 0);
}

Deno.test("a shard moves safely if two messages or outcomes are lost, doubled or late", () => {
  visit({ maps: 1, saves: 1, looks: 1, faults: 2 }, 60_000, [
    "a fence that _ gave up on arrives, which is stored",
    "a save that _ gave up on arrives, which is stored",
    "the stream takes _'s claim, which is refused",
    "the stream takes _'s claim, which is stored over that of _",
    "the stream takes _'s look, which is fenced",
    "the stream takes _'s release, which is refused",
    "the stream takes _'s save, which is fenced",
    "_ waits no longer for an answer",
  ]);
});

Deno.test("a shard moves safely if any process crashes at any time and comes back", () => {
  visit({ maps: 1, saves: 1, looks: 1, crashes: 1 }, 200_000, [
    "_ is told that _ is no more",
    "_ starts",
    "the stream takes _'s claim, which is stored over that of _",
  ]);
});

Deno.test("a shard moves safely to and fro while processes are slow and maps come late", () => {
  visit({ maps: 2 }, 80_000, ['_ hears "newer"', "the stream takes _'s claim, which is refused"]);
});

Deno.test("a shard moves safely if any process leaves at any time", () => {
  visit({ maps: 1, leaves: 1 }, 150_000, ["_ has left", "_ has drained"]);
});

const LONG: readonly Partial<Bounds>[] = [
  { maps: 2, saves: 1 },
  { maps: 1, faults: 1, crashes: 1 },
  { maps: 1, saves: 1, looks: 1, leaves: 1 },
  { maps: 1, saves: 1, looks: 1, faults: 3 },
  { maps: 1, saves: 2, looks: 1, crashes: 1 },
];
for (const bounds of LONG) {
  const name = JSON.stringify(bounds).replace(/["{}]/g, "");
  Deno.test({
    ...unlessSkipped(
      `a shard moves safely within larger bounds: ${name}`,
      !isLong && "only with AETHER_LONG=1",
    ),
    fn: () => visit(bounds, 200_000),
  });
}

const ONE_MOVE = { maps: 1, saves: 1, looks: 1, faults: 1 };

Deno.test("control: without the claim on saves, events are stored between others' fences", () => {
  findsBroken("guard", ONE_MOVE, /^an event of A1 is stored where .. has (claimed|released) it$/);
});

Deno.test("control: without the claim on reads, a deposed owner answers from stale data", () => {
  findsBroken("marker", ONE_MOVE, /^A1 answers from 0 events, and 1 were acknowledged$/);
});

Deno.test("control: with claims under older maps, ownership goes back", () => {
  findsBroken("order", ONE_MOVE, /^A1 writes the fence under map 1, and it held map 2 of B1$/);
});

Deno.test("control: with a replay that falls short of the claim, an owner misses events", () => {
  findsBroken("replay", ONE_MOVE, /^.. serves with 0 events, and 1 were stored before its claim$/);
});

Deno.test("control: with a claim at once after a refusal, under the same map, ownership goes back", () => {
  findsBroken("look", ONE_MOVE, /^A1 writes the fence under map 1, and it held map 2 of B1$/);
});

Deno.test("control: with a release before the drain, a node's own fence refuses its saves", () => {
  findsBroken("drain", ONE_MOVE, /^what A1 had under way was refused by a fence of its own$/);
});

Deno.test("control: with a release that is no compare-and-set, a successor is overwritten", () => {
  findsBroken("swap", ONE_MOVE, /^A1 writes the fence under map 1, and it held map 2 of B1$/);
});

Deno.test("control: with no claim by force, a lost message leaves a shard unserved permanently", () => {
  findsBroken("force", ONE_MOVE, /^nothing leads from here to where it should$/);
});
