import type { Leader } from "./election/leader_key.ts";
import type { LeaseTimings } from "./election/lease_timings.ts";
import type { DiscoveryTimings } from "./membership/timings.ts";
import type { ClusterView } from "./membership/view.ts";
import type { HandoffPhase } from "./sharding/handoff.ts";

/** The result of {@linkcode Cluster.describe}. */
export interface ClusterDescription {
  /** This node. */
  readonly nodeId: string;
  /** This node's incarnation. */
  readonly incarnation: string;
  /** The namespace: keeps clusters apart. */
  readonly namespace: string;
  /** The members. */
  readonly view: ClusterView;
  /** The leader; `undefined` while there is none. */
  readonly leader: Leader | undefined;
  /** Whether this node coordinates: assigns the shards, and decides which nodes have crashed. */
  readonly coordinates: boolean;
  /** The map of shards. */
  readonly map: {
    /** Its version. */
    readonly version: number;
    /** How many shards there are. */
    readonly shards: number;
    /** How many shards each node has. */
    readonly owned: ReadonlyMap<string, number>;
    /** How many shards have no owner. */
    readonly free: number;
  };
  /** This node's own shards, by their phase. */
  readonly phases: ReadonlyMap<HandoffPhase, number>;
  /** Actors of this node that are active. */
  readonly actors: number;
  /** Commands that this node handles at the moment. */
  readonly handling: number;
  /** Commands that this node has sent and that have no answer yet. */
  readonly sending: number;
  /** The timings of the lease, in ms. */
  readonly lease: LeaseTimings;
  /** The timings of discovery, in ms. */
  readonly discovery: DiscoveryTimings;
}
