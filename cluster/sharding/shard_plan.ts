import { given, needObject } from "../../store/base/given.ts";
import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import type { ShardMap } from "./shard_map.ts";
import { describe, tokenProblem } from "../../store/base/token.ts";

/** A process that can be assigned shards. */
export interface ShardMember extends NodeIncarnation {
  /**
   * Its weight: a member with twice the capacity of another one gets twice the shards. With 0 it
   * gets none and loses those that it has, as one that is leaving should.
   */
  readonly capacity: number;
}

/** A member while shards are assigned. */
interface MemberQuota {
  readonly owner: NodeIncarnation;
  /** Its part of all shards by its capacity. */
  readonly share: number;
  /** Shards that it may have in the end. */
  quota: number;
  /** Shards that it has so far. */
  held: number;
}

/**
 * Assigns the shards to `members` by their capacity, each getting its exact share rounded up or
 * down, with the fewest moves from `current`: a well-placed shard keeps its owner, and the shares
 * of the members that already hold more are rounded up. Shards of a process that is no member go
 * first to a later incarnation of the same node. Without a member of capacity, no shard has an
 * owner.
 *
 * The same `current` and members, in any order, give the same plan everywhere. The result is the
 * target for {@linkcode nextShardMap}.
 *
 * @throws {RangeError} A node's id, incarnation or capacity is impossible, or a member is listed
 * twice.
 *
 * @example Two nodes share 256 shards, then a third one joins
 * ```ts
 * import { emptyShardMap, nextShardMap, planShards, shardMoves } from "@flowmade-one/aether/cluster";
 *
 * const a = { nodeId: "a", incarnation: "1", capacity: 1 };
 * const b = { nodeId: "b", incarnation: "1", capacity: 1 };
 * const c = { nodeId: "c", incarnation: "1", capacity: 2 };
 * const empty = emptyShardMap(256);
 * const first = nextShardMap(empty, planShards(empty, [a, b]));
 * const target = planShards(first, [a, b, c]);
 * console.log(shardMoves(first.shards, target).length); // 128: half of them, and no more
 * const second = nextShardMap(first, target, { maxMoves: 32 });
 * console.log(second.version, second.shards[0]?.nodeId);
 * ```
 */
export function planShards(
  current: Pick<ShardMap, "shards">,
  members: readonly ShardMember[],
): (NodeIncarnation | undefined)[] {
  needObject(current, "plan shards", "current", "a shard map");
  if (!Array.isArray(members)) {
    throw new TypeError(`Cannot plan shards: members is ${given(members)}, not an array`);
  }
  const total = current.shards.length;
  const quotas = quotasOf(members, total);
  const plan = new Array<NodeIncarnation | undefined>(total).fill(undefined);
  if (quotas.length === 0) return plan;

  const places = placesOf(current.shards, quotas);
  settleQuotas(quotas, places, total);
  keep(plan, places.map(({ own }) => own));
  keep(plan, places.map(({ heir }) => heir));
  deal(plan, quotas);
  return plan;
}

/** The place that a shard would keep: its owner, or a later incarnation of its owner's node. */
interface Place {
  readonly own: MemberQuota | undefined;
  readonly heir: MemberQuota | undefined;
}

/** The members that can have shards, in the same order everywhere. */
function quotasOf(members: readonly ShardMember[], total: number): MemberQuota[] {
  const known = new Set<string>();
  for (const { nodeId, incarnation, capacity } of members) {
    const name = describe(nodeId);
    for (const text of [nodeId, incarnation]) {
      const problem = tokenProblem(text);
      if (problem === undefined) continue;
      const what = text === nodeId ? "node id" : `incarnation of ${name},`;
      throw new RangeError(`Cannot plan shards: the ${what} ${describe(text)} ${problem}`);
    }
    if (!Number.isFinite(capacity) || capacity < 0) {
      throw new RangeError(`Cannot plan shards: capacity ${capacity} of ${name} is not 0 or more`);
    }
    const key = incarnationKey({ nodeId, incarnation });
    if (known.has(key)) {
      throw new RangeError(`Cannot plan shards: ${name} is listed twice with one incarnation`);
    }
    known.add(key);
  }
  const able = members.filter(({ capacity }) => capacity > 0).sort(byName);
  // Measured by the largest, so that sums of very large capacities stay finite.
  const largest = Math.max(...able.map(({ capacity }) => capacity));
  const sum = able.reduce((sum, { capacity }) => sum + capacity / largest, 0);
  return able.map(({ nodeId, incarnation, capacity }) => ({
    owner: { nodeId, incarnation },
    share: rounded(total * (capacity / largest) / sum),
    quota: 0,
    held: 0,
  }));
}

function placesOf(shards: ShardMap["shards"], quotas: readonly MemberQuota[]): Place[] {
  const byKey = new Map(quotas.map((member) => [incarnationKey(member.owner), member]));
  // The last incarnation of a node in the common order.
  const byNode = new Map(quotas.map((member) => [member.owner.nodeId, member]));
  const known = new Map<NodeIncarnation, Place>();
  return shards.map((owner) => {
    if (owner === undefined) return { own: undefined, heir: undefined };
    let place = known.get(owner);
    if (place === undefined) {
      const own = byKey.get(incarnationKey(owner));
      place = { own, heir: own === undefined ? byNode.get(owner.nodeId) : undefined };
      known.set(owner, place);
    }
    return place;
  });
}

/**
 * Rounds each share down, then some up until nothing is left over: first those of members that
 * already have more, each of which saves a move, then those that lose most by the rounding.
 */
function settleQuotas(
  quotas: readonly MemberQuota[],
  places: readonly Place[],
  total: number,
): void {
  const own = countBy(places, ({ own }) => own);
  const inherited = countBy(places, ({ heir }) => heir);
  const claims = quotas.map((member) => {
    member.quota = Math.floor(member.share);
    const has = own.get(member) ?? 0;
    return {
      member,
      wins: has > member.quota ? 2 : has + (inherited.get(member) ?? 0) > member.quota ? 1 : 0,
      lost: member.share - member.quota,
    };
  });
  const spare = total - quotas.reduce((sum, { quota }) => sum + quota, 0);
  const lucky = claims.filter(({ lost }) => lost > 0)
    .sort((one, other) => other.wins - one.wins || other.lost - one.lost);
  for (const { member } of lucky.slice(0, spare)) member.quota++;
}

/** Leaves each shard that has no owner yet in its place, while the quota there allows it. */
function keep(
  plan: (NodeIncarnation | undefined)[],
  places: readonly (MemberQuota | undefined)[],
): void {
  for (const [shard, member] of places.entries()) {
    if (member === undefined || member.held >= member.quota) continue;
    plan[shard] = member.owner;
    member.held++;
  }
}

/** Assigns the shards that have no owner yet to members whose quota is not met, in turn. */
function deal(plan: (NodeIncarnation | undefined)[], quotas: readonly MemberQuota[]): void {
  let open = quotas.filter(({ held, quota }) => held < quota);
  let turn = 0;
  for (const [shard, owner] of plan.entries()) {
    if (owner !== undefined) continue;
    if (turn >= open.length) {
      open = open.filter(({ held, quota }) => held < quota);
      turn = 0;
    }
    const member = open[turn++]!;
    plan[shard] = member.owner;
    member.held++;
  }
}

function countBy(
  places: readonly Place[],
  memberFor: (place: Place) => MemberQuota | undefined,
): Map<MemberQuota, number> {
  const counts = new Map<MemberQuota, number>();
  for (const place of places) {
    const member = memberFor(place);
    if (member !== undefined) counts.set(member, (counts.get(member) ?? 0) + 1);
  }
  return counts;
}

/** A share that is whole but for the error of floating point is made whole. */
function rounded(share: number): number {
  const whole = Math.round(share);
  return Math.abs(share - whole) < 1e-9 * Math.max(1, whole) ? whole : share;
}

function byName(one: NodeIncarnation, other: NodeIncarnation): number {
  return compare(one.nodeId, other.nodeId) || compare(one.incarnation, other.incarnation);
}

/** Not by locale, which differs from machine to machine. */
function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
