import type { Leader } from "./election/leader_key.ts";
import type { LeaseTimings } from "./election/lease_timings.ts";
import type { DiscoveryTimings } from "./membership/timings.ts";
import type { ClusterView } from "./membership/view.ts";
import type { HandoffPhase } from "./sharding/handoff.ts";

/** What {@linkcode Cluster.describe} gives. */
export interface ClusterDescription {
  /** This node. */
  readonly nodeId: string;
  /** Which life of this node. */
  readonly incarnation: string;
  /** Keeps clusters apart. */
  readonly namespace: string;
  /** The members. */
  readonly view: ClusterView;
  /** Who leads. */
  readonly leader: Leader | undefined;
  /** Whether this node coordinates: deals the shards out, and tells who has crashed. */
  readonly coordinates: boolean;
  /** The map of shards. */
  readonly map: {
    /** Its version. */
    readonly version: number;
    /** How many shards there are. */
    readonly shards: number;
    /** How many each node has. */
    readonly owned: ReadonlyMap<string, number>;
    /** How many nobody has. */
    readonly free: number;
  };
  /** This node's own shards, by what it does with them. */
  readonly phases: ReadonlyMap<HandoffPhase, number>;
  /** Actors of this node that are active. */
  readonly actors: number;
  /** Commands that this node handles at the moment. */
  readonly handling: number;
  /** Commands that this node has sent and that have no answer yet. */
  readonly sending: number;
  /** What the leadership is kept by, in ms. */
  readonly lease: LeaseTimings;
  /** How nodes are watched, in ms. */
  readonly discovery: DiscoveryTimings;
}
