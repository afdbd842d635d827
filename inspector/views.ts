import type { StoreMetrics } from "../store/telemetry/metrics.ts";
import type { ParkedActor, SkippedMessage } from "../store/projection/state.ts";
import type { VerifyProgress, VerifyReport } from "../store/verify/report.ts";

/** A time as ISO 8601. */
export type Time = string;

/** What this inspector shows: the answer of `about`. */
export interface AboutView {
  /** The namespace, if the store says it. */
  readonly namespace?: string;
  /** The store's identity. */
  readonly identity: string;
  /** Categories that a decider is registered for: their actors have states. */
  readonly deciders: readonly string[];
  /** Whether `act` does anything: it needs the token then. */
  readonly actions: boolean;
  /** Which views have something to show. */
  readonly views: {
    readonly projections: boolean;
    readonly processes: boolean;
    readonly cluster: boolean;
  };
  /** The bounds of requests: larger limits are taken down to these. */
  readonly limits: {
    readonly actors: number;
    readonly events: number;
    readonly states: number;
    readonly nodes: number;
    readonly processes: number;
    /** Live answers that may be open at once. */
    readonly streams: number;
  };
}

/** The store as a whole: the answer of `store`, and the event `store` of `live`. */
export interface StoreView {
  /** What it runs on; `other` for a store of the user's own. */
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
  /** What the server says of the stream; absent for a store without one. */
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
  /** What changed in a second, over the last seconds; absent until two looks were taken. */
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

/** The body of a request for `actors`. */
export interface ActorsQuery {
  /** Only actors of this category. */
  readonly category?: string;
  /** Only actors whose id begins with this. */
  readonly prefix?: string;
  /** Only actors behind this one, in the order of ids: the `next` of the page before. */
  readonly after?: string;
  /** How many. @default {50} */
  readonly limit?: number;
}

/** A page of actors in the order of their ids: the answer of `actors`. */
export interface ActorsView {
  readonly actors: readonly {
    readonly actorId: string;
    readonly category: string;
    /** Its latest version. */
    readonly version: number;
    /** When it changed last; absent for a store that does not say it. */
    readonly at?: Time;
  }[];
  /** Pass it as `after` for the next page; absent on the last one. */
  readonly next?: string;
  /** How many actors match; a lower bound where `isComplete` is false. */
  readonly total: number;
  /** Whether all ids were known; false while they are counted, or if there are too many to keep. */
  readonly isComplete: boolean;
}

/** The body of a request for `actor`: a page of its events. */
export interface ActorQuery {
  readonly actorId: string;
  /** Lowest version wanted. @default {1} */
  readonly fromVersion?: number;
  /** Highest version wanted. @default {no bound} */
  readonly toVersion?: number;
  /** Ascending versions, or descending ones. @default {"forwards"} */
  readonly direction?: "forwards" | "backwards";
  /** How many events; a page ends earlier where they are large. @default {100} */
  readonly limit?: number;
}

/** A page of an actor's events: the answer of `actor`. */
export interface ActorView {
  readonly actorId: string;
  readonly category: string;
  /** Its latest version; 0 if there is no such actor. */
  readonly version: number;
  /** Whether `states` has an answer for it: a decider is registered for its category. */
  readonly hasStates: boolean;
  /** The process whose history it is, if it is one. */
  readonly process?: { readonly name: string; readonly id: string };
  /** In the order that was asked for. */
  readonly events: readonly EventView[];
  /** Where the next page begins: `fromVersion` forwards, `toVersion` backwards; absent on the last. */
  readonly next?: number;
}

/** An event as it is read, and as it is stored. */
export interface EventView {
  /** Position in the store; absent where the store does not say it. */
  readonly sequence?: number;
  readonly id: string;
  readonly eventType: string;
  readonly actorId: string;
  readonly version: number;
  /** When it happened, by its writer's clock; absent if it cannot be read. */
  readonly timestamp?: Time;
  /** Its data in the newest shape: after upcasting; absent if it cannot be read. */
  readonly data?: unknown;
  /** Why it cannot be read. */
  readonly error?: string;
  /** All metadata: `correlationId`, `causationId`, `userId`, the user's own. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The events that were saved together with it. */
  readonly commit?: { readonly op: string; readonly index: number; readonly count: number };
  /** The id of the command that led to it, if it had one. */
  readonly commandId?: string;
  /** How it is stored; absent where the store does not show it. */
  readonly stored?: StoredView;
}

/** An event as it is stored: before upcasting. */
export interface StoredView {
  /** The schema it was saved with. */
  readonly schema: number;
  /** The newest schema that this process's upcasters know; equal to `schema` if nothing is upcast. */
  readonly newest: number;
  /** Its data as it was saved, if the body is JSON, and if it is not the same as it is read. */
  readonly data?: unknown;
  /** The body as text where it is no JSON of ours, such as a codec's: at most 4,096 characters. */
  readonly text?: string;
  /** Bytes of the body. */
  readonly bytes: number;
  /** When the server stored it. */
  readonly at?: Time;
  /** The server's number of its message: what `nats stream get` takes. */
  readonly message?: number;
  /** The subject of its message. */
  readonly subject?: string;
}

/** The body of a request for `states`. */
export interface StatesQuery {
  readonly actorId: string;
  /** The first version whose state is wanted. @default {1} */
  readonly fromVersion?: number;
  /** The last one. @default {the latest} */
  readonly toVersion?: number;
}

/**
 * The states of an actor over a range of versions, as steps: the state at a version is `initial` with
 * the changes of all steps up to it applied. Changes name the value before too, so that they can be
 * applied backwards.
 */
export interface StatesView {
  readonly actorId: string;
  /** The actor's latest version. */
  readonly version: number;
  /** The state before the first step. */
  readonly initial: unknown;
  readonly steps: readonly StateStep[];
  /** The first version that is left out as the answer would be too large: ask again from there. */
  readonly next?: number;
  /** Where and why the decider failed; there are no steps from there on. */
  readonly failed?: { readonly version: number; readonly reason: string };
}

/** The change that one event makes. */
export interface StateStep {
  readonly version: number;
  readonly eventType: string;
  readonly changes: readonly Change[];
}

/** One difference between two JSON values. `Map` and `Set` are shown as arrays, `Date` as text. */
export interface Change {
  /** Keys of objects and indexes of arrays from the outermost on; `[]` is the whole value. */
  readonly path: readonly (string | number)[];
  /** The value before; absent if there was none there. */
  readonly before?: unknown;
  /** The value after; absent if there is none there any more. */
  readonly after?: unknown;
}

/** The body of a request for `causation`. */
export interface CausationQuery {
  /** An event's id. */
  readonly eventId: string;
  /** Its position, if that is known: saves a search. */
  readonly sequence?: number;
}

/**
 * The tree around an event: the event `causation` of the answer of `causation`, behind any number of
 * `progress` (`{ events, position, end }`). Nodes stand behind their causes.
 */
export interface CausationView {
  readonly eventId: string;
  /** At most 500: the event itself, its causes, then others in the order of the store. */
  readonly nodes: readonly CausationNode[];
  /** Nodes that are left out. */
  readonly omitted: number;
}

/** A node of the tree. */
export type CausationNode = CausedEvent | OutsideCause;

/** An event in the tree. */
export interface CausedEvent {
  readonly kind: "event";
  readonly id: string;
  /** The id of the node that it follows from; absent at a root. */
  readonly cause?: string;
  /** Effects of this node that are left out. */
  readonly omitted?: number;
  readonly sequence: number;
  readonly eventType: string;
  readonly actorId: string;
  readonly version: number;
  readonly timestamp: Time;
  readonly correlationId?: string;
  /** The process whose history it is in, if it is one. */
  readonly process?: { readonly name: string; readonly id: string };
  /** The command that it issues: it is a process's `CommandIssued`. */
  readonly command?: {
    readonly id: string;
    /** The actor that gets it. */
    readonly actorId: string;
    readonly command: unknown;
    /** Whether the process has taken its outcome in. */
    readonly settled: boolean;
    /** Why it was refused before it was sent. */
    readonly refused?: string;
  };
}

/** A cause that is named and is no stored event: a command or a request from outside. */
export interface OutsideCause {
  readonly kind: "outside";
  readonly id: string;
  readonly cause?: undefined;
  readonly omitted?: number;
}

/** The body of a request for `tail`. */
export interface TailQuery {
  readonly category?: string;
  /** Only these types. */
  readonly eventTypes?: readonly string[];
  /** Only events whose id, actor, type or JSON holds this text; case does not matter. */
  readonly text?: string;
  /** The most events in a second that are sent; the others are counted. @default {50} */
  readonly perSecond?: number;
}

/** The events of a `tail`, by name. */
export interface TailEvents {
  /** It follows from here on. */
  readonly ready: { readonly identity: string };
  /** An event; no `stored` part. */
  readonly event: EventView;
  /** Matching events that were left out since the last message, and why. */
  readonly skipped: { readonly count: number; readonly reason: "rate" | "slow" };
}

/** All projections: the answer of `projections`, and the event `projections` of `live`. */
export interface ProjectionsView {
  /** When this was asked. */
  readonly at: Time;
  readonly projections: readonly ProjectionView[];
}

/** What can be asked for in a request to `act` about a projection. */
export type ProjectionAction = "unpark" | "skip" | "pause" | "resume" | "rebuild";

/** One projection, for all processes that run it. */
export interface ProjectionView {
  readonly name: string;
  /** What it is: a reactor and the parts of a process manager have checkpoints of the same form. */
  readonly kind: "projection" | "process";
  /** Whether this process has its object, so that it can be acted on. */
  readonly isLocal: boolean;
  /** What can be asked for here; empty without actions. */
  readonly actions: readonly ProjectionAction[];
  /** Why nothing could be read of it. */
  readonly error?: string;
  /** The version that is read. */
  readonly version: number;
  readonly paused: boolean;
  readonly partitions: readonly PartitionView[];
  /** Messages of the stream behind the partition that is furthest behind: an upper bound. */
  readonly lag: number;
  /** The version that is built beside it. */
  readonly rebuild?: {
    readonly version: number;
    readonly partitions: readonly PartitionView[];
    /** From 0 to 1. */
    readonly progress: number;
  };
  /** Why the last rebuild was given up. */
  readonly failed?: { readonly version: number; readonly reason: string };
  /** Parked actors, at most 200. */
  readonly parked: readonly ParkedActor[];
  /** How many there are. */
  readonly parkedCount: number;
  /** Messages of no actor that it passes over. */
  readonly skipped: readonly SkippedMessage[];
  /** Work of this process, if it has the object. */
  readonly metrics?: {
    readonly handled: number;
    readonly failed: number;
    readonly parked: number;
    /** In ms. */
    readonly duration: number;
  };
}

/** One partition. */
export interface PartitionView {
  readonly partition: number;
  /** Names the process that claimed it last: the same for all partitions of a process; absent if none. */
  readonly owner?: string;
  /** Position of the last event handled or parked. */
  readonly position: number;
  /** Messages of the stream behind it: an upper bound of the events that it has not seen. */
  readonly lag: number;
  /** Whether it has reached the store's end once. */
  readonly caughtUp: boolean;
  readonly parkedCount: number;
}

/** The body of a request for `processes`. */
export interface ProcessesQuery {
  /** Only those of this manager. */
  readonly name?: string;
  /** Only those that are parked. */
  readonly parked?: boolean;
  /** The `next` of the page before. */
  readonly after?: string;
  /** @default {50} */
  readonly limit?: number;
}

/** A page of the processes that have not ended: the answer of `processes`. */
export interface ProcessesView {
  readonly at: Time;
  readonly managers: readonly {
    readonly name: string;
    /** Whether this process has its object, so that it can be acted on. */
    readonly isLocal: boolean;
    /** What can be asked for here; empty without actions. */
    readonly actions: readonly ("retry" | "end" | "pause" | "resume")[];
  }[];
  readonly processes: readonly ProcessView[];
  /** Pass it as `after` for the next page; absent on the last one. */
  readonly next?: string;
}

/** A process that has not ended, and what it waits for. */
export interface ProcessView {
  readonly name: string;
  readonly id: string;
  /** The actor that is its history. */
  readonly actorId: string;
  readonly version: number;
  /** Commands whose outcome it waits for. */
  readonly commands: readonly {
    readonly id: string;
    readonly actorId: string;
    readonly since: Time;
  }[];
  /** Effects whose end it waits for. */
  readonly effects: readonly {
    readonly id: string;
    readonly name: string;
    readonly started: boolean;
    readonly since: Time;
  }[];
  /** Deadlines to come, the first one first. */
  readonly deadlines: readonly { readonly name: string; readonly at: Time }[];
  /** Where and why it is parked. */
  readonly parked?: {
    readonly sequence: number;
    readonly eventId: string;
    readonly reason: string;
    readonly since: Time;
  };
}

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

/** The body of a request for `live`. */
export interface LiveQuery {
  /** What is sent; each once at the beginning, then when it changed, at most once in a second. */
  readonly views: readonly ("store" | "projections" | "cluster")[];
}

/** The events of `live`, by name. */
export interface LiveEvents {
  readonly store: StoreView;
  readonly projections: ProjectionsView;
  readonly cluster: ClusterStateView;
}

/** The body of a request for `verify`. */
export interface VerifyQuery {
  /** Begin there: the `next` of a report. @default {the first message} */
  readonly from?: number;
}

/** The events of `verify`, by name: any number of `progress`, then `report`. */
export interface VerifyEvents {
  readonly progress: VerifyProgress;
  readonly report: VerifyReport;
}

/** The body of a request for `act`. */
export type ActionRequest =
  | { readonly on: "projection"; readonly name: string; readonly action: "pause" | "resume" }
  /** Tries the waiting events of a parked actor again. */
  | {
    readonly on: "projection";
    readonly name: string;
    readonly action: "unpark";
    readonly actorId: string;
  }
  /** Passes over a message that belongs to no actor, for good. */
  | {
    readonly on: "projection";
    readonly name: string;
    readonly action: "skip";
    readonly sequence: number;
  }
  /** Builds a new version beside the one that runs; answers once it has begun. */
  | { readonly on: "projection"; readonly name: string; readonly action: "rebuild" }
  | { readonly on: "process"; readonly name: string; readonly action: "pause" | "resume" }
  /** Lets a parked process go on. */
  | {
    readonly on: "process";
    readonly name: string;
    readonly action: "retry";
    readonly id: string;
  }
  /** Ends a process by hand. */
  | {
    readonly on: "process";
    readonly name: string;
    readonly action: "end";
    readonly id: string;
    readonly reason?: string;
  };

/** The answer of `act`. */
export interface ActionView {
  /** `"done"`; `"begun"` if it goes on by itself; `"again"` if an event has failed again. */
  readonly outcome: "done" | "begun" | "again";
  /** The outcome in a sentence. */
  readonly message: string;
}
