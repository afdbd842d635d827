import type { DiscoveryTimings } from "./discovery_timings.ts";
import type { HandoffPhase } from "./handoff.ts";
import type { Leader } from "./leader_key.ts";
import type { ClusterNode } from "./node.ts";
import type { LeaseTimings } from "./timings.ts";
import type { ClusterView } from "./view.ts";

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

/** Puts the description together. */
export function describeCluster(
  { namespace, discovery, election, leader, map, tenure }: ClusterNode,
  sending: number,
): ClusterDescription {
  const owned = new Map<string, number>();
  let free = 0;
  for (const owner of map.shards) {
    if (owner === undefined) free++;
    else owned.set(owner.nodeId, (owned.get(owner.nodeId) ?? 0) + 1);
  }
  const { actors, commands } = tenure.actors.load;
  return {
    nodeId: discovery.nodeId,
    incarnation: discovery.incarnation,
    namespace,
    view: discovery.view,
    leader,
    coordinates: discovery.coordinates,
    map: { version: map.version, shards: map.shards.length, owned, free },
    phases: new Map([...tenure.shards.phases].filter(([, count]) => count > 0)),
    actors,
    handling: commands,
    sending,
    lease: election.timings,
    discovery: discovery.timings,
  };
}
