import type { ParkedActor, SkippedMessage } from "../../store/projection/state.ts";
import type { Time } from "./time.ts";

/** All projections: the answer of `projections`, and the event `projections` of `live`. */
export interface ProjectionsView {
  /** When this was asked. */
  readonly at: Time;
  readonly projections: readonly ProjectionView[];
}

/** The actions on a projection that a request to `act` can name. */
export type ProjectionAction = "unpark" | "skip" | "pause" | "resume" | "rebuild";

/** One projection, for all processes that run it. */
export interface ProjectionView {
  readonly name: string;
  /** Its kind: a reactor and the parts of a process manager have checkpoints of the same form. */
  readonly kind: "projection" | "reactor" | "process";
  /** Whether this process has its object, so that it can be acted on. */
  readonly isLocal: boolean;
  /** The actions that can be asked for here; empty without actions. */
  readonly actions: readonly ProjectionAction[];
  /** Why nothing could be read of it. */
  readonly error?: string;
  /** The version that is read. */
  readonly version: number;
  readonly paused: boolean;
  readonly partitions: readonly PartitionView[];
  /**
   * Messages of the stream behind the partition that is furthest behind: an upper bound, as its filter may
   * leave most of them out.
   */
  readonly lag: number;
  /**
   * Events that its filter takes and that are neither handled nor parked; only if this process has the
   * object, and it is not far behind.
   */
  readonly unhandled?: number;
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
