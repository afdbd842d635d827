import type { Time } from "./time.ts";

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
