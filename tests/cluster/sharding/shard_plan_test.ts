import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { isSameIncarnation, type NodeIncarnation } from "../../../cluster/incarnation.ts";
import {
  emptyShardMap,
  nextShardMap,
  type ShardMap,
  shardMoves,
} from "../../../cluster/sharding/shard_map.ts";
import { planShards, type ShardMember } from "../../../cluster/sharding/shard_plan.ts";

function member(nodeId: string, capacity = 1, incarnation = "1"): ShardMember {
  return { nodeId, incarnation, capacity };
}

/** Members `node-0`, `node-1`, … with these capacities. */
function members(capacities: readonly number[]): ShardMember[] {
  return capacities.map((capacity, at) => member(`node-${at}`, capacity));
}

/** A map in which `members` share everything. */
function settled(shards: number, among: readonly ShardMember[]): ShardMap {
  const empty = emptyShardMap(shards);
  return nextShardMap(empty, planShards(empty, among));
}

/** How many shards each member has. */
function countsOf(shards: ShardMap["shards"], among: readonly ShardMember[]): number[] {
  const tally = new Map<NodeIncarnation | undefined, number>();
  for (const owner of shards) tally.set(owner, (tally.get(owner) ?? 0) + 1);
  const counts = among.map(() => 0);
  for (const [owner, count] of tally) {
    const at = among.findIndex((it) => isSameIncarnation(owner, it));
    if (at >= 0) counts[at]! += count;
  }
  return counts;
}

/** The exact shares, in shards. */
function sharesOf(shards: number, among: readonly ShardMember[]): number[] {
  const sum = among.reduce((sum, { capacity }) => sum + capacity, 0);
  return among.map(({ capacity }) => shards * capacity / sum);
}

/**
 * The fewest shards of living owners that have to change hands until everybody has its exact
 * share rounded up or down, by trying all ways to round.
 */
function fewestMoves(current: ShardMap["shards"], among: readonly ShardMember[]): number {
  const total = current.length;
  const counts = countsOf(current, among);
  const shares = sharesOf(total, among).map((share) =>
    Math.abs(share - Math.round(share)) < 1e-9 ? Math.round(share) : share
  );
  let fewest = Infinity;
  const round = (at: number, used: number, moves: number): void => {
    if (used > total) return;
    if (at === among.length) {
      if (used === total) fewest = Math.min(fewest, moves);
      return;
    }
    for (const quota of new Set([Math.floor(shares[at]!), Math.ceil(shares[at]!)])) {
      round(at + 1, used + quota, moves + Math.max(0, counts[at]! - quota));
    }
  };
  round(0, 0, 0);
  return fewest;
}

/** The moves that take a shard from a process that is among the members. */
function servedMoves(
  before: ShardMap["shards"],
  after: ShardMap["shards"],
  among: readonly ShardMember[],
): number {
  const isMember = (owner: NodeIncarnation) => among.some((it) => isSameIncarnation(it, owner));
  return shardMoves(before, after).filter(({ from }) => from !== undefined && isMember(from))
    .length;
}

const capacity = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(1, 2, 4) },
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.double({ min: 0.1, max: 10, noNaN: true }) },
);
const cluster = fc.array(
  fc.record({
    nodeId: fc.constantFrom(..."abcdefg"),
    incarnation: fc.constantFrom("1", "2"),
    capacity,
  }, { noNullPrototype: true }),
  { maxLength: 7 },
).map((list) =>
  list.filter((it, at) => list.findIndex((other) => isSameIncarnation(it, other)) === at)
);

Deno.test("a plan gives each member its exact share rounded, with the fewest moves", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 120 }),
    fc.array(cluster, { minLength: 1, maxLength: 6 }),
    (shards, history) => {
      let map = emptyShardMap(shards);
      for (const among of history) {
        const target = planShards(map, among);
        assertEquals(target.length, shards);
        const able = among.filter(({ capacity }) => capacity > 0);
        if (able.length === 0) {
          assert(target.every((owner) => owner === undefined));
        } else {
          assert(target.every((owner) => able.some((it) => isSameIncarnation(it, owner))));
          const counts = countsOf(target, able);
          for (const [at, share] of sharesOf(shards, able).entries()) {
            assert(Math.abs(counts[at]! - share) < 1 + 1e-9, `${counts[at]} of ${share}`);
          }
          // Owners without capacity lose all that they have; the others no more than they must.
          const drained = among.filter(({ capacity }) => capacity === 0);
          const forced = countsOf(map.shards, drained).reduce((sum, count) => sum + count, 0);
          assertEquals(
            servedMoves(map.shards, target, among),
            forced + fewestMoves(map.shards, able),
          );
        }
        assertEquals(planShards({ shards: target }, among), target, "a plan is not stable");
        map = nextShardMap(map, target);
      }
    },
  ));
});

Deno.test("the order in which members are listed changes nothing", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 64 }),
    cluster,
    cluster.chain((among) =>
      fc.tuple(fc.constant(among), fc.shuffledSubarray(among, { minLength: among.length }))
    ),
    (shards, before, [among, shuffled]) => {
      const map = settled(shards, before);
      assertEquals(planShards(map, among), planShards(map, shuffled));
    },
  ));
});

Deno.test("in 10,000 random joins, leaves and crashes no shard is lost and no move is wasted", () => {
  const random = mulberry32(20_251);
  const shards = 1024;
  let among: ShardMember[] = [];
  let map = emptyShardMap(shards);
  let lives = 0;
  for (let round = 0; round < 10_000; round++) {
    const isJoin = among.length < 2 || (among.length < 16 && random() < 0.5);
    const at = Math.floor(random() * among.length);
    if (isJoin) {
      const nodeId = `node-${Math.floor(random() * 40)}`;
      const life = member(nodeId, [1, 1, 2, 4][Math.floor(random() * 4)]!, String(++lives));
      among = [...among.filter((it) => it.nodeId !== nodeId), life];
    } else {
      among = among.filter((_, index) => index !== at);
    }
    const target = planShards(map, among);
    const counts = countsOf(target, among);
    assertEquals(counts.reduce((sum, count) => sum + count), shards);
    const shares = sharesOf(shards, among);
    for (const [index, count] of counts.entries()) {
      assert(Math.abs(count - shares[index]!) < 1, `round ${round}: ${count} of ${shares[index]}`);
    }
    // A member gives only what it has too much, and none both loses and gains.
    const before = countsOf(map.shards, among);
    const lost = before.reduce((sum, has, index) => sum + Math.max(0, has - counts[index]!), 0);
    assertEquals(servedMoves(map.shards, target, among), lost);
    if (round % 100 === 0) assertEquals(lost, fewestMoves(map.shards, among));
    const next = nextShardMap(map, target);
    assert(next.version > map.version);
    map = next;
  }
});

Deno.test("from 10 to 11 nodes 1,024 shards take at most 93 moves and stay even, and back", () => {
  const ten = members(new Array(10).fill(1));
  const eleven = [...ten, member("node-10")];
  const map = settled(1024, ten);
  const target = planShards(map, eleven);
  assertEquals(shardMoves(map.shards, target).length, 93);
  for (const [shards, among] of [[map.shards, ten], [target, eleven]] as const) {
    const counts = countsOf(shards, among);
    assert(Math.max(...counts) / (1024 / among.length) <= 1.02);
  }
  const back = planShards({ shards: target }, ten);
  assertEquals(shardMoves(target, back).length, countsOf(target, eleven)[10]);
});

Deno.test("capacities of 1, 2 and 4 are met within 2 %", () => {
  for (const capacities of [[1, 2, 4], [4, 4, 2, 2, 1, 1], [1, 1, 1, 2, 2, 2, 4, 4, 4]]) {
    const among = members(capacities);
    const counts = countsOf(settled(1024, among).shards, among);
    for (const [at, share] of sharesOf(1024, among).entries()) {
      const error = Math.abs(counts[at]! / share - 1);
      assert(error <= 0.02, `capacity ${capacities[at]} has ${counts[at]} shards for ${share}`);
    }
  }
});

Deno.test("with more nodes than shards, each shard has a node of its own", () => {
  const among = members(new Array(7).fill(1));
  const map = settled(3, among);
  assertEquals(new Set(map.shards).size, 3);
  assertEquals(planShards(map, [...among, member("a-newcomer")]), map.shards);
});

Deno.test("with no member, or none of capacity, no shard has an owner", () => {
  const map = settled(8, [member("a")]);
  const nobody = new Array(8).fill(undefined);
  assertEquals(planShards(map, []), nobody);
  assertEquals(planShards(map, [member("a", 0)]), nobody);
  assertEquals(planShards(emptyShardMap(8), []), nobody);
});

Deno.test("a node that comes back gets its shards again, as another owner", () => {
  const map = settled(90, [member("a"), member("b"), member("c")]);
  const among = [member("a"), member("b", 1, "2"), member("c")];
  const target = planShards(map, among);
  const moves = shardMoves(map.shards, target);
  assertEquals(moves.length, 30);
  for (const { from, to } of moves) {
    assertEquals(from, { nodeId: "b", incarnation: "1" });
    assertEquals(to, { nodeId: "b", incarnation: "2" });
  }
});

Deno.test("nodes that come back at the same time get each its own shards again", () => {
  const [a, b, c] = members([1, 1, 1]);
  const shards = [a, a, c, c, b, b];
  const target = planShards({ shards }, [a!, { ...b!, incarnation: "2" }, {
    ...c!,
    incarnation: "2",
  }]);
  assertEquals(target.map((owner) => owner!.nodeId), shards.map((owner) => owner!.nodeId));
});

Deno.test("shards left over by rounding go to those that lose most by it", () => {
  const among = members([1, 2]);
  assertEquals(countsOf(settled(10, among).shards, among), [3, 7]);
});

Deno.test("a whole share remains whole in spite of floating point", () => {
  const among = members([1, 2, 7].map((weight) => weight * 0.1));
  const [first, , last] = among;
  const shards = [first, last, last, last, last];
  assertEquals(countsOf(planShards({ shards }, among), among)[1], 1);
});

Deno.test("capacities may be as large and as small as numbers are", () => {
  for (const scale of [1, 1e300, 1e-300, 0.1, 1 / 3]) {
    const among = members([scale, scale, 2 * scale]);
    assertEquals(countsOf(settled(64, among).shards, among), [16, 16, 32]);
  }
  const among = members(new Array(10).fill(0.1));
  assertEquals(countsOf(settled(10, among).shards, among), new Array(10).fill(1));
});

Deno.test("planShards() refuses impossible members", () => {
  const map = emptyShardMap(4);
  for (const bad of [NaN, -1, Infinity]) {
    assertThrows(() => planShards(map, [member("a", bad)]), RangeError, `capacity ${bad} of "a"`);
  }
  assertThrows(() => planShards(map, [member("")]), RangeError, 'node id "" is empty');
  assertThrows(() => planShards(map, [member("a", 1, "")]), RangeError, 'incarnation of "a"');
  assertThrows(
    () => planShards(map, [member("a"), member("a")]),
    RangeError,
    'Cannot plan shards: "a" is listed twice',
  );
});

/** Random numbers from 0 to 1 that are the same in every run. */
function mulberry32(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
