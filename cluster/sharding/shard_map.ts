import { given, needObject, needOptionalFunctions } from "../../store/base/given.ts";
import { incarnationKey, isSameIncarnation, type NodeIncarnation } from "../incarnation.ts";

/**
 * The process that should serve each shard. It is a plan that all nodes share: the fences, which
 * hold the version of the map that they were claimed under, decide which process may write. A map
 * never changes; the next one has a larger version.
 */
export interface ShardMap {
  /** Larger than that of every map before; 0 for the empty map that was never written. */
  readonly version: number;
  /** The owner of each shard; `undefined` if it has none. */
  readonly shards: readonly (NodeIncarnation | undefined)[];
}

/** A shard that changes its owner from one map to another. */
export interface ShardMove {
  /** The shard. */
  readonly shard: number;
  /** The old owner; `undefined` if there was none. */
  readonly from: NodeIncarnation | undefined;
  /** The new owner; `undefined` if there is none. */
  readonly to: NodeIncarnation | undefined;
}

/** Options for {@linkcode nextShardMap}. */
export interface NextShardMapOptions {
  /**
   * How many served shards may begin to move: the number allowed at the same time, less the moves
   * under way. It does not limit shards that nobody serves.
   *
   * @default {Infinity}
   */
  readonly maxMoves?: number;
  /** Whether a process is gone, so that nobody serves its shards. @default {() => false} */
  readonly gone?: (owner: NodeIncarnation) => boolean;
  /**
   * The largest version of a map that was seen anywhere, for example in the fences, if the stored
   * map may have been lost: the next one is larger still, as otherwise no claim under it would
   * count.
   *
   * @default {0}
   */
  readonly seen?: number;
}

/**
 * The first map: version 0, no shard has an owner.
 *
 * @throws {RangeError} `shards` is not a whole number of 1 or more.
 */
export function emptyShardMap(shards: number): ShardMap {
  if (!Number.isSafeInteger(shards) || shards < 1) {
    throw new RangeError(`Cannot make a shard map: ${shards} is not a number of shards from 1`);
  }
  return { version: 0, shards: new Array<undefined>(shards).fill(undefined) };
}

function notShards(what: string, name: string, value: unknown): TypeError {
  return new TypeError(`Cannot ${what}: ${name} is ${given(value)}, not an array of owners`);
}

/**
 * The shards that change their owner between two maps, or two lists of owners, in the order of the
 * shards.
 *
 * @throws {RangeError} They have different numbers of shards.
 */
export function shardMoves(before: ShardMap["shards"], after: ShardMap["shards"]): ShardMove[] {
  for (const [name, list] of Object.entries({ before, after })) {
    if (!Array.isArray(list)) throw notShards("compare shard maps", name, list);
  }
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
 * One step from `current` towards the owners in `target`, as {@linkcode planShards} returns them.
 * All shards without a live owner move now; of the served ones at most `maxMoves`, taken from their
 * owners in turn. Planning again after each step ends in as few moves as one leap. Returns
 * `current` itself if there is nothing to do; the same input gives the same map everywhere.
 *
 * @throws {RangeError} The shard counts differ, an option is out of its range, or there is no
 * larger version.
 */
export function nextShardMap(
  current: ShardMap,
  target: ShardMap["shards"],
  options: NextShardMapOptions = {},
): ShardMap {
  const what = "make the next shard map";
  needObject(options, what, "options");
  needOptionalFunctions(options, ["gone"], what);
  const { maxMoves = Infinity, gone = () => false, seen = 0 } = options;
  if (!Array.isArray(current?.shards)) throw notShards(what, "shards of current", current?.shards);
  if (!Array.isArray(target)) throw notShards(what, "target", target);
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

/**
 * The version that fences show to be taken: the next map has to be larger, as no claim counts under
 * a version for which another map has given a shard to another process. 0 if `map` is newer than all
 * fences; that of a map which was lost otherwise.
 */
export function takenVersion(
  map: ShardMap,
  fences: ReadonlyMap<number, NodeIncarnation & { readonly mapVersion: number }>,
): number {
  let taken = 0;
  for (const [shard, fence] of fences) {
    const isOthers = !isSameIncarnation(fence, map.shards[shard]);
    if (fence.mapVersion > map.version) taken = Math.max(taken, fence.mapVersion);
    // Two maps had this version: one larger than the map's own is larger than both.
    else if (fence.mapVersion === map.version && isOthers) taken = Math.max(taken, map.version + 1);
  }
  return taken;
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
  // Sorting is stable: within a turn the order of the shards is kept.
  return ranked.sort((one, other) => one.rank - other.rank).map(({ move }) => move);
}
