import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import type { ShardMap } from "./shard_map.ts";
import { describe, tokenProblem } from "../../store/base/token.ts";

/** A process among which shards are dealt out. */
export interface ShardMember extends NodeIncarnation {
  /**
   * Its weight: of two members, the one with twice the capacity gets twice the shards. With 0 it
   * gets none and loses those that it has, as one that is leaving should.
   */
  readonly capacity: number;
}

/** A member while shards are dealt out. */
interface ShardSeat {
  readonly owner: NodeIncarnation;
  /** The part of all shards that its capacity stands for. */
  readonly share: number;
  /** Shards that it may have in the end. */
  quota: number;
  /** Shards that it has so far. */
  held: number;
}

/**
 * Deals the shards out among `members` by their capacity, each getting its exact share rounded
 * up or down, with the fewest moves that lead there from `current`: a shard that is well placed
 * stays, and which shares are rounded up is chosen by who already holds more. Shards of a
 * process that is no member go first to a later life of the same node. Without a member of
 * capacity, no shard has an owner.
 *
 * The same `current` and members, in any order, give the same plan everywhere. What it gives is
 * the target for {@linkcode nextShardMap}.
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
  const total = current.shards.length;
  const seats = seatsOf(members, total);
  const plan = new Array<NodeIncarnation | undefined>(total).fill(undefined);
  if (seats.length === 0) return plan;

  const places = placesOf(current.shards, seats);
  settleQuotas(seats, places, total);
  keep(plan, places.map(({ own }) => own));
  keep(plan, places.map(({ heir }) => heir));
  deal(plan, seats);
  return plan;
}

/** Where a shard would stay: with its owner, or with a later life of its owner's node. */
interface Place {
  readonly own: ShardSeat | undefined;
  readonly heir: ShardSeat | undefined;
}

/** The members that can have shards, in an order that all agree on. */
function seatsOf(members: readonly ShardMember[], total: number): ShardSeat[] {
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

function placesOf(shards: ShardMap["shards"], seats: readonly ShardSeat[]): Place[] {
  const byKey = new Map(seats.map((seat) => [incarnationKey(seat.owner), seat]));
  // The last of several lives of a node in the common order.
  const byNode = new Map(seats.map((seat) => [seat.owner.nodeId, seat]));
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
 * Rounds each share down, then some up until nothing is left over: first those of whom already
 * has more than that, each of which saves a move, then those that lose most by the rounding.
 */
function settleQuotas(seats: readonly ShardSeat[], places: readonly Place[], total: number): void {
  const own = countBy(places, ({ own }) => own);
  const inherited = countBy(places, ({ heir }) => heir);
  const claims = seats.map((seat) => {
    seat.quota = Math.floor(seat.share);
    const has = own.get(seat) ?? 0;
    return {
      seat,
      wins: has > seat.quota ? 2 : has + (inherited.get(seat) ?? 0) > seat.quota ? 1 : 0,
      lost: seat.share - seat.quota,
    };
  });
  const spare = total - seats.reduce((sum, { quota }) => sum + quota, 0);
  const lucky = claims.filter(({ lost }) => lost > 0)
    .sort((one, other) => other.wins - one.wins || other.lost - one.lost);
  for (const { seat } of lucky.slice(0, spare)) seat.quota++;
}

/** Leaves each shard that has no owner yet in its place, while the quota there allows it. */
function keep(
  plan: (NodeIncarnation | undefined)[],
  places: readonly (ShardSeat | undefined)[],
): void {
  for (const [shard, seat] of places.entries()) {
    if (seat === undefined || seat.held >= seat.quota) continue;
    plan[shard] = seat.owner;
    seat.held++;
  }
}

/** Deals the shards that have no owner yet to those whose quota is not met, in turn. */
function deal(plan: (NodeIncarnation | undefined)[], seats: readonly ShardSeat[]): void {
  let open = seats.filter(({ held, quota }) => held < quota);
  let turn = 0;
  for (const [shard, owner] of plan.entries()) {
    if (owner !== undefined) continue;
    if (turn >= open.length) {
      open = open.filter(({ held, quota }) => held < quota);
      turn = 0;
    }
    const seat = open[turn++]!;
    plan[shard] = seat.owner;
    seat.held++;
  }
}

function countBy(
  places: readonly Place[],
  seatOf: (place: Place) => ShardSeat | undefined,
): Map<ShardSeat, number> {
  const counts = new Map<ShardSeat, number>();
  for (const place of places) {
    const seat = seatOf(place);
    if (seat !== undefined) counts.set(seat, (counts.get(seat) ?? 0) + 1);
  }
  return counts;
}

/** Shares that are whole but for the error of floating point are whole. */
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
