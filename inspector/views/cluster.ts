import type { Time } from "./time.ts";

/** The cluster: the answer of `cluster`, and the event `cluster` of `live`. */
export interface ClusterStateView {
  readonly at: Time;
  /** Where it is from: an object of this process, or the records in NATS. */
  readonly source: "cluster" | "records" | "none";
  readonly namespace?: string;
  /** The node of this process. */
  readonly self?: string;
  /** The version of the view. */
  readonly version: number;
  readonly members: readonly {
    readonly nodeId: string;
    readonly incarnation: string;
    readonly status: "up" | "leaving";
    readonly capacity: number;
    readonly metadata: Readonly<Record<string, string>>;
    /** How many shards it has by the map. */
    readonly shards: number;
  }[];
  readonly coordinator?: string;
  readonly leader?: { readonly nodeId: string; readonly term: number };
  readonly map: {
    readonly version: number;
    /** The node ids that `shards` counts, from 0. */
    readonly owners: readonly string[];
    /** The owner of each shard by the map: an index in `owners`; -1 for none. */
    readonly shards: readonly number[];
    readonly free: number;
  };
  /** Shards whose fence is held by another than the map says: hand-offs under way. */
  readonly handoffs: readonly {
    readonly shard: number;
    readonly from?: string;
    readonly to?: string;
  }[];
  /** This node's own shards by phase, if there is a cluster object. */
  readonly phases?: Readonly<Record<string, number>>;
  /** Members that have left lately, the last one at the end. */
  readonly departed: readonly {
    readonly nodeId: string;
    readonly incarnation: string;
    readonly how: "left" | "crashed" | "hung" | "replaced";
  }[];
  /** Changes that this inspector has seen while somebody looked, the last one at the end; at most 100. */
  readonly changes: readonly {
    readonly at: Time;
    readonly what: "joined" | "left" | "leader" | "moved" | "leaving";
    readonly nodeId?: string;
    /** How it left. */
    readonly how?: string;
    /** How many shards moved. */
    readonly shards?: number;
    readonly term?: number;
  }[];
}
