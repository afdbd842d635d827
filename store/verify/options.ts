import { asGiven, given, needDecider, needMethods, needObject, needSignal } from "../base/given.ts";
import { isRecord } from "../base/json.ts";
import type { CheckpointStore } from "../projection/checkpoint_store.ts";
import type { SnapshotStore } from "../snapshot/snapshot.ts";

/** How events make up states, of any kind of actor: a `Decider` or an `Evolution` is one. */
export interface VerifyEvolution {
  /** Returns the state of an actor without events. */
  readonly initialState: () => unknown;
  /** Returns the state after an event. */
  readonly evolve: (state: never, event: never) => unknown;
}

/** Snapshots that {@linkcode verify} compares with replays. */
export interface VerifySnapshots {
  /** The store that keeps them. */
  readonly store: SnapshotStore;
  /** The shape of their states. */
  readonly schemaVersion: number;
  /** Their name: which state of its actor they are. */
  readonly name: string;
  /** How events make up the states. */
  readonly evolution: VerifyEvolution;
  /** The kind of actors; all if left out. @default {undefined} */
  readonly category?: string;
  /** How many actors, picked at random, are replayed. @default {100} */
  readonly sample?: number;
}

/** A projection whose checkpoints {@linkcode verify} compares with the store. */
export interface VerifyProjection {
  /** The projection's name. */
  readonly name: string;
  /** The store that keeps its checkpoints; they are only read. */
  readonly checkpoints: Pick<CheckpointStore<never>, "load">;
}

/** Options for {@linkcode verify}. */
export interface VerifyOptions {
  /**
   * Begins here rather than at the first message: the `next` of a report or of progress. What was
   * stored before is looked up if a rule needs it.
   *
   * @default {0}
   */
  readonly from?: number;
  /** Stops after about so many messages, at the end of a commit. @default {Infinity} */
  readonly maxMessages?: number;
  /** How many problems the report keeps; all are counted. @default {100} */
  readonly limit?: number;
  /**
   * Actors whose last version is remembered; one more costs a request when it is met again. Twice
   * as many ids of events are remembered to find duplicates.
   *
   * @default {100_000}
   */
  readonly cacheSize?: number;
  /** Snapshots to compare with replays, of one kind of actor or of several. @default {[]} */
  readonly snapshots?: VerifySnapshots | readonly VerifySnapshots[];
  /** Projections whose checkpoints are compared with the store. @default {[]} */
  readonly projections?: readonly VerifyProjection[];
  /** Ends the verification: it rejects with the signal's reason. @default {undefined} */
  readonly signal?: AbortSignal;
}

/**
 * Refuses options of another kind than {@linkcode verify} takes.
 *
 * @throws {TypeError} One is something else.
 */
export function checkVerify(options: VerifyOptions): void {
  const what = "verify the store";
  needObject(options, what, "options");
  needSignal(options.signal, what);
  const { projections = [] } = options;
  if (!Array.isArray(projections)) {
    throw new TypeError(`Cannot ${what}: projections is ${given(projections)}, not an array`);
  }
  for (const { checkpoints } of projections as readonly VerifyProjection[]) {
    needMethods(checkpoints, ["load"], what, "checkpoints of a projection", "a CheckpointStore");
  }
  for (const { store, evolution } of snapshotsIn(options)) {
    needMethods(store, ["getLatestSnapshot"], what, "store of snapshots", "a SnapshotStore");
    needDecider(evolution, what, "evolution of snapshots", ["initialState", "evolve"]);
  }
}

/** The options as they are at the call, with those in them; see {@linkcode asGiven}. */
export function verifyAsGiven(options: VerifyOptions): VerifyOptions {
  if (!isRecord(options)) return options; // Refused when it begins.
  const { snapshots, projections } = options as VerifyOptions;
  return {
    ...asGiven(options),
    ...(snapshots && { snapshots: eachAsGiven(snapshots) }),
    ...(projections && { projections: eachAsGiven(projections) }),
  };
}

function eachAsGiven<T>(values: T): T {
  return Array.isArray(values) ? values.map(asGiven) as T : asGiven(values);
}

/** The kinds of snapshots that are to be compared. */
export function snapshotsIn({ snapshots = [] }: VerifyOptions): readonly VerifySnapshots[] {
  return Array.isArray(snapshots) ? snapshots : [snapshots as VerifySnapshots];
}
