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
