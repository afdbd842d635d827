import type { StoreMetrics } from "../../store/telemetry/metrics.ts";
import type { Time } from "./time.ts";

/** The store as a whole: the answer of `store`, and the event `store` of `live`. */
export interface StoreView {
  /** The kind of store; `other` for a store of the user's own. */
  readonly kind: "jetstream" | "memory" | "other";
  /** The namespace, if the store says it. */
  readonly namespace?: string;
  /** The JetStream stream. */
  readonly stream?: string;
  readonly identity: string;
  /** When this was asked. */
  readonly at: Time;
  /** The last position that is taken. */
  readonly end: number;
  /** The stream as the server describes it; absent for a store without one. */
  readonly server?: {
    /** Messages of the stream; one holds the events of one save, or of several. */
    readonly messages: number;
    readonly bytes: number;
    readonly consumers: number;
    readonly firstAt?: Time;
    readonly lastAt?: Time;
    /** The version of the server that the stream's answers come from, if the connection says it. */
    readonly version?: string;
    readonly shards: number;
    /** The servers that keep the stream; one alone is the leader. */
    readonly replicas: readonly ReplicaView[];
  };
  readonly categories: CategoriesView;
  /** The counts of this process's store object since it was made. */
  readonly metrics?: StoreMetrics;
  /** The rates of the last seconds; absent until two looks were taken. */
  readonly rates?: RatesView;
}

/** A server that keeps the stream. */
export interface ReplicaView {
  /** The server's name; absent on a server alone that does not say it. */
  readonly name?: string;
  readonly role: "leader" | "follower";
  /** Whether it has all that the leader has. */
  readonly current: boolean;
  readonly offline: boolean;
  /** Operations that it is behind; 0 for the leader. */
  readonly lag: number;
  /** When the leader last heard of it, in ms before the answer; absent for the leader. */
  readonly silent?: number;
}

/** The categories, as they were counted last; counting goes on in the background. */
export interface CategoriesView {
  /** `"counting"` until the first count has ended: then the list is a part, or empty. */
  readonly state: "counting" | "ready" | "failed";
  /** When the count ended. */
  readonly at?: Time;
  /** Why the last count failed. */
  readonly reason?: string;
  /** Actors counted over all categories. */
  readonly actors: number;
  /** The categories with most actors first, at most 200. */
  readonly list: readonly CategoryView[];
  /** Categories that are not in the list. */
  readonly omitted: number;
}

/** One category. */
export interface CategoryView {
  readonly category: string;
  readonly actors: number;
  /**
   * Messages of its actors: each holds the events of one save, or of several. Absent for a store
   * that does not say it.
   */
  readonly messages?: number;
  /** The last change of one of its actors. */
  readonly last?: { readonly at: Time; readonly actorId: string; readonly sequence: number };
}

/** Numbers of a second, averaged over some seconds. */
export interface RatesView {
  /** How many seconds. */
  readonly seconds: number;
  /** Saves of this process's store object that were stored. */
  readonly saves: number;
  /** Those that met another writer. */
  readonly conflicts: number;
  /** Reads of this process's store object. */
  readonly reads: number;
  /** Messages that all writers have stored. */
  readonly messages: number;
  /** Events that all writers have stored: only while somebody follows the tail. */
  readonly events?: number;
}
