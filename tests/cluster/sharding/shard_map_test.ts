import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { isSameIncarnation, type NodeIncarnation } from "../../../cluster/incarnation.ts";
import { formatShardMap, parseShardMap } from "../../../cluster/sharding/shard_map_json.ts";
import {
  emptyShardMap,
  nextShardMap,
  type ShardMap,
  shardMoves,
} from "../../../cluster/sharding/shard_map.ts";
import { planShards } from "../../../cluster/sharding/shard_plan.ts";

const [a, b, c] = ["a", "b", "c"].map((nodeId) => ({ nodeId, incarnation: "1", capacity: 1 }));
const [A, B, C] = [a, b, c].map((it) => ({ nodeId: it!.nodeId, incarnation: "1" }));

const owner = fc.record({
  nodeId: fc.constantFrom("a", "b", "c", "dé."),
  incarnation: fc.constantFrom("1", "2"),
}, { noNullPrototype: true });
const owners = fc.array(fc.option(owner, { nil: undefined }), { minLength: 1, maxLength: 40 });
const map: fc.Arbitrary<ShardMap> = fc.record(
  { version: fc.nat(), shards: owners },
  { noNullPrototype: true },
);

Deno.test("the empty map has version 0 and no owners", () => {
  assertEquals(emptyShardMap(2), { version: 0, shards: [undefined, undefined] });
  for (const bad of [0, -1, 1.5, NaN]) {
    assertThrows(() => emptyShardMap(bad), RangeError, "not a number of shards");
  }
});

Deno.test("nextShardMap() moves no more served shards at once than allowed, and gets there", () => {
  const two = [a!, b!];
  const empty = emptyShardMap(60);
  let current = nextShardMap(empty, planShards(empty, two));
  const among = [a!, b!, c!];
  const fewest = shardMoves(current.shards, planShards(current, among)).length;
  let moved = 0;
  for (let version = current.version + 1;; version++) {
    const next = nextShardMap(current, planShards(current, among), { maxMoves: 3 });
    if (next === current) break;
    assertEquals(next.version, version);
    const moves = shardMoves(current.shards, next.shards);
    assert(moves.length <= 3);
    moved += moves.length;
    current = next;
  }
  assertEquals(moved, fewest);
  assertEquals(planShards(current, among), current.shards);
});

Deno.test("steps of any size with any owners gone end in as few moves as one leap", () => {
  fc.assert(fc.property(
    map,
    fc.uniqueArray(owner, { minLength: 1, selector: (it) => JSON.stringify(it) }),
    fc.integer({ min: 1, max: 9 }),
    (start, among, maxMoves) => {
      const living = among.map((it, at) => ({ ...it, capacity: 1 + at % 2 }));
      const gone = (owner: NodeIncarnation) => !among.some((it) => isSameIncarnation(it, owner));
      const leap = shardMoves(start.shards, planShards(start, living));
      let current = start;
      let moved = 0;
      for (;;) {
        const next = nextShardMap(current, planShards(current, living), { maxMoves, gone });
        if (next === current) break;
        assert(next.version > current.version);
        const moves = shardMoves(current.shards, next.shards);
        const served = moves.filter(({ from }) => from !== undefined && !gone(from));
        assert(served.length <= maxMoves);
        const isAtOnce = next.shards.every((it) => it !== undefined && !gone(it));
        assert(isAtOnce, "shards without a living owner were left waiting");
        moved += moves.length;
        current = next;
      }
      assertEquals(moved, leap.length);
    },
  ));
});

Deno.test("moves are taken from their owners in turn", () => {
  const current: ShardMap = { version: 1, shards: [A, A, A, A, B, B] };
  const next = nextShardMap(current, new Array(6).fill(C), { maxMoves: 3 });
  assertEquals(next, { version: 2, shards: [C, C, A, A, C, B] });
});

Deno.test("shards of owners that are gone all move, beside those that may", () => {
  const current: ShardMap = { version: 5, shards: [A, A, B, B, undefined] };
  const options = { maxMoves: 1, gone: (it: NodeIncarnation) => it.nodeId === "a" };
  const next = nextShardMap(current, new Array(5).fill(C), options);
  assertEquals(next, { version: 6, shards: [C, C, C, B, C] });
  assertEquals(nextShardMap(current, new Array(5).fill(C), { ...options, maxMoves: 0 }), {
    version: 6,
    shards: [C, C, B, B, C],
  });
});

Deno.test("shards of an owner that is leaving move by the bound", () => {
  const current: ShardMap = { version: 1, shards: [A, A, A, B, B, B] };
  const among = [{ ...a!, capacity: 0 }, b!];
  const next = nextShardMap(current, planShards(current, among), { maxMoves: 2 });
  assertEquals(next.shards, [B, B, A, B, B, B]);
});

Deno.test("nextShardMap() returns the same map if there is nothing to do", () => {
  const current: ShardMap = { version: 3, shards: [A, undefined] };
  assertStrictEquals(nextShardMap(current, [{ ...A! }, undefined]), current);
  assertStrictEquals(nextShardMap(current, [B, undefined], { maxMoves: 0 }), current);
  assertStrictEquals(nextShardMap(current, [A, undefined], { seen: 3 }), current);
});

Deno.test("a lost map continues above the versions that the fences hold", () => {
  const current: ShardMap = { version: 0, shards: [A] };
  assertEquals(nextShardMap(current, [A], { seen: 41 }), { version: 42, shards: [A] });
  assertEquals(nextShardMap(current, [B], { seen: 41 }), { version: 42, shards: [B] });
});

Deno.test("nextShardMap() refuses impossible input", () => {
  const current: ShardMap = { version: 1, shards: [A] };
  assertThrows(() => nextShardMap(current, []), RangeError, "one has 1 shards, the other 0");
  for (const maxMoves of [-1, NaN]) {
    assertThrows(
      () => nextShardMap(current, [B], { maxMoves }),
      RangeError,
      `maxMoves ${maxMoves}`,
    );
  }
  for (const seen of [NaN, Number.MAX_SAFE_INTEGER]) {
    assertThrows(
      () => nextShardMap(current, [B], { seen }),
      RangeError,
      "there is no version after",
    );
  }
});

Deno.test("a map survives being written as JSON and read again", () => {
  fc.assert(fc.property(map, (map) => {
    assertEquals(parseShardMap(formatShardMap(map), map.shards.length), map);
  }));
});

Deno.test("1,024 shards of 11 nodes with long names take a few kilobytes", () => {
  const among = Array.from({ length: 11 }, () => ({
    nodeId: `accounts-7d9f8b6c5-${crypto.randomUUID().slice(0, 5)}`,
    incarnation: crypto.randomUUID(),
    capacity: 1,
  }));
  const empty = emptyShardMap(1024);
  const text = formatShardMap(nextShardMap(empty, planShards(empty, among)));
  assert(text.length < 4096, `${text.length} characters`);
});

Deno.test("the stored form of a map does not change", () => {
  const stored = '{"format":1,"version":7,"owners":[["a","1"],["b","1"]],"shards":[0,1,-1,0]}';
  const map = { version: 7, shards: [A, B, undefined, A] };
  assertEquals(formatShardMap(map), stored);
  assertEquals(parseShardMap(stored), map);
});

Deno.test("text that is no map is refused, with the reason", () => {
  const good = { format: 1, version: 7, owners: [["a", "1"], ["b", "1"]], shards: [0, 1, -1] };
  const bad: [text: string, problem: string][] = [
    ["", "it is not JSON"],
    ["{", "it is not JSON"],
    ["null", "it is no object"],
    ["[]", "it is no object"],
    ["{}", "its format is missing, and this version reads 1"],
    [JSON.stringify({ ...good, format: 2 }), "its format is 2"],
    [JSON.stringify({ ...good, version: -1 }), "its version -1 is not"],
    [JSON.stringify({ ...good, version: "7" }), 'its version "7" is not'],
    [JSON.stringify({ ...good, version: 1.5 }), "its version 1.5 is not"],
    [JSON.stringify({ ...good, owners: {} }), "it has no list of owners"],
    [JSON.stringify({ ...good, owners: ["a", "b"] }), 'owners[0] is "a"'],
    [JSON.stringify({ ...good, owners: [["a"], ["b", "1"]] }), 'owners[0] is ["a"]'],
    [JSON.stringify({ ...good, owners: [["a", "1"], ["b", 1]] }), "a name in owners[1] is not"],
    [JSON.stringify({ ...good, owners: [["", "1"], ["b", "1"]] }), "owners[0] is empty"],
    [JSON.stringify({ ...good, owners: [["a", "1"], ["a", "1"]] }), "owners[1] is there twice"],
    [JSON.stringify({ ...good, shards: undefined }), "it has no list of shards"],
    [JSON.stringify({ ...good, shards: [] }), "it has no shards"],
    [JSON.stringify({ ...good, shards: [0, 1] }), "it has 2 shards, and the store has 3"],
    [JSON.stringify({ ...good, shards: [0, 2, 1] }), "shards[1] is 2, and there are 2 owners"],
    [JSON.stringify({ ...good, shards: [0, -2, 1] }), "shards[1] is -2"],
    [JSON.stringify({ ...good, shards: [0, 0.5, 1] }), "shards[1] is 0.5"],
    [JSON.stringify({ ...good, shards: [0, null, 1] }), "shards[1] is null"],
  ];
  for (const [text, problem] of bad) {
    const error = assertThrows(() => parseShardMap(text, 3), TypeError, problem) as Error;
    assert(error.message.startsWith("Cannot read shard map "), error.message);
  }
});
