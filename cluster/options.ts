import { checkClock, type Clock } from "./election/clock.ts";
import type { DiscoveryTimingOptions } from "./membership/timings.ts";
import { needOptionalFunctions } from "../store/base/given.ts";
import type { FencedEventStoreOptions } from "../store/fencing/fenced_store.ts";
import { checkModes } from "../store/fencing/options.ts";
import { checkOptions } from "../store/jetstream/options.ts";

/** Options for {@linkcode Cluster.join}. */
export interface ClusterOptions
  extends
    DiscoveryTimingOptions,
    Omit<FencedEventStoreOptions, "nodeId" | "incarnation" | "onDeposed"> {
  /**
   * The node's name, unique in the namespace: any string of up to 200 bytes. A process that joins
   * by the name of a member takes its place, so that a restarted one need not wait.
   *
   * @default {a random one}
   */
  readonly nodeId?: string;
  /** Data for the other nodes, such as an address. @default {none} */
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * The node's weight: a node with twice the capacity of another one gets twice the shards. With 0
   * it gets none and does not campaign for leadership: it only sends commands.
   *
   * @default {1}
   */
  readonly capacity?: number;
  /** How busy the node is, for people. @default {the number of its commands under way} */
  readonly load?: () => number;
  /**
   * How long a leader that does not renew its lease remains leader, in ms: whole seconds. See
   * {@linkcode ElectionOptions.lease}.
   *
   * @default {15_000}
   */
  readonly lease?: number;
  /** From one renewal of the lease to the next, in ms. @default {a fifth of it, at most 3_000} */
  readonly renew?: number;
  /** How much earlier the lease ends for its holder, in ms. @default {a fifteenth of it} */
  readonly margin?: number;
  /** How long the marker of a removed key remains, in ms. @default {600_000} */
  readonly markerTtl?: number;
  /** The clocks that measure for how long this node is believed in. @default {the machine's} */
  readonly clock?: Clock;
  /** How many served shards may be on the move at once. @default {64} */
  readonly maxMoves?: number;
  /**
   * How long commands under way may delay the move of a shard, in ms. The fence refuses their saves
   * after that.
   *
   * @default {5_000}
   */
  readonly drainTimeout?: number;
  /** How long `leave()` waits until the other nodes have taken the shards, in ms. @default {10_000} */
  readonly leaveTimeout?: number;
  /** How many commands of this node may be under way at once. @default {10_000} */
  readonly maxCommands?: number;
  /** How long an actor without commands stays active, in ms. @default {60_000} */
  readonly idle?: number;
  /** How many actors are active at most; the longest idle go first. @default {10_000} */
  readonly maxActors?: number;
  /**
   * Gets errors of the background work that are not transient, and those that `load` throws; the
   * same one every ten minutes at most. What it throws is printed.
   *
   * @default {console.warn}
   */
  readonly onError?: (error: unknown) => void;
}

/**
 * Refuses what a cluster, or the store that it opens, does not take.
 *
 * @throws {TypeError} An option is of another kind.
 * @throws {RangeError} An option is out of its range.
 */
export function checkCluster(options: ClusterOptions): void {
  const what = "join the cluster";
  needOptionalFunctions(options, ["load", "onError"], what);
  checkClock(options, what);
  checkOptions(options, what);
  checkModes(options);
}

/** Limits of this node alone. */
export interface ClusterLimits {
  readonly maxMoves: number;
  readonly drainTimeout: number;
  readonly leaveTimeout: number;
  readonly maxCommands: number;
  readonly idle: number;
  readonly maxActors: number;
}

/**
 * Fills in the defaults.
 *
 * @throws {RangeError} A number is no integer from 1.
 */
export function clusterLimits({
  maxMoves = 64,
  drainTimeout = 5_000,
  leaveTimeout = 10_000,
  maxCommands = 10_000,
  idle = 60_000,
  maxActors = 10_000,
}: ClusterOptions): ClusterLimits {
  const limits = { maxMoves, drainTimeout, leaveTimeout, maxCommands, idle, maxActors };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1 || value >= 2 ** 31) {
      throw new RangeError(`Cannot join the cluster: ${name} is ${value}, not an integer from 1`);
    }
  }
  return limits;
}
