import { incarnationKey, isSameIncarnation, type NodeIncarnation } from "../incarnation.ts";

/**
 * Which process is to serve which shard. It is a plan that all nodes share: who may write is
 * decided by the fences, which hold the version of the map that they were claimed under.
 * Maps are never changed, each is followed by one with a larger version.
 */
export interface ShardMap {
  /** Larger than that of every map before; 0 for the empty map that was never written. */
  readonly version: number;
  /** The owner of each shard; `undefined` where there is nobody to serve it. */
  readonly shards: readonly (NodeIncarnation | undefined)[];
}

/** A shard that changes its owner from one map to another. */
export interface ShardMove {
  /** The shard. */
  readonly shard: number;
  /** Who had it; `undefined` for nobody. */
  readonly from: NodeIncarnation | undefined;
  /** Who gets it; `undefined` for nobody. */
  readonly to: NodeIncarnation | undefined;
}

/** How far {@linkcode nextShardMap} goes at once. */
export interface NextShardMapOptions {
  /**
   * How many shards that are being served may begin to move: what is allowed at the same time,
   * less the moves under way. Shards that nobody serves move without regard to it.
   *
   * @default {Infinity}
   */
  readonly maxMoves?: number;
  /** Whether a process is gone, so that its shards are served by nobody. @default {() => false} */
  readonly gone?: (owner: NodeIncarnation) => boolean;
  /**
   * The largest version of a map that was seen anywhere, in the fences say, where the stored map
   * may have been lost: the next one is larger still, else no claim under it would count.
   *
   * @default {0}
   */
  readonly seen?: number;
}

/**
 * The map that nothing was written to yet: version 0, no shard has an owner.
 *
 * @throws {RangeError} `shards` is not a whole number of 1 or more.
 */
export function emptyShardMap(shards: number): ShardMap {
  if (!Number.isSafeInteger(shards) || shards < 1) {
    throw new RangeError(`Cannot make a shard map: ${shards} is no number of shards from 1`);
  }
  return { version: 0, shards: new Array<undefined>(shards).fill(undefined) };
}

/**
 * What changes its owner between two maps, or two lists of owners, in the order of the shards.
 *
 * @throws {RangeError} They are not of the same number of shards.
 */
export function shardMoves(before: ShardMap["shards"], after: ShardMap["shards"]): ShardMove[] {
  if (before.length !== after.length) {
    throw new RangeError(
      `Cannot compare shard maps: one has ${before.length} shards, the other ${after.length}`,
    );
  }
  const moves: ShardMove[] = [];
  for (const [shard, from] of before.entries()) {
    const to = after[shard];
    if (!isSameIncarnation(from, to)) moves.push({ shard, from, to });
  }
  return moves;
}

/**
 * One step from `current` towards the owners in `target`, as {@linkcode planShards} gives them.
 * Shards without a live owner all move now; of those that are served at most `maxMoves`, taken
 * from their owners in turn. Planning anew after each step ends in as few moves as one leap.
 * Gives `current` itself where there is nothing to do; the same input gives the same map
 * everywhere.
 *
 * @throws {RangeError} The shard counts differ, an option is out of its range, or versions are
 * used up.
 */
export function nextShardMap(
  current: ShardMap,
  target: ShardMap["shards"],
  { maxMoves = Infinity, gone = () => false, seen = 0 }: NextShardMapOptions = {},
): ShardMap {
  if (!(maxMoves >= 0)) {
    throw new RangeError(`Cannot make the next shard map: maxMoves ${maxMoves} is not 0 or more`);
  }
  const version = Math.max(current.version, seen) + 1;
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new RangeError(
      `Cannot make the next shard map: there is no version after ${current.version} and ${seen}`,
    );
  }
  const shards = [...current.shards];
  const served: ShardMove[] = [];
  let moved = 0;
  const move = ({ shard, to }: ShardMove) => {
    shards[shard] = to;
    moved++;
  };
  for (const each of shardMoves(current.shards, target)) {
    if (each.from === undefined || gone(each.from)) move(each);
    else served.push(each);
  }
  inTurn(served).slice(0, maxMoves).forEach(move);
  return moved === 0 && seen <= current.version ? current : { version, shards };
}

/** The moves in an order that takes one from each owner, then a second from each, and so on. */
function inTurn(moves: readonly ShardMove[]): ShardMove[] {
  const taken = new Map<string, number>();
  const ranked = moves.map((move) => {
    const owner = incarnationKey(move.from!);
    const rank = taken.get(owner) ?? 0;
    taken.set(owner, rank + 1);
    return { move, rank };
  });
  // Sorting is stable: within a turn the order of the shards stays.
  return ranked.sort((one, other) => one.rank - other.rank).map(({ move }) => move);
}
