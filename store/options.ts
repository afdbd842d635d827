import type { Event } from "./event.ts";

/** The result of a save. */
export interface SaveReceipt {
  /** Position of the save's last event in the store. */
  readonly sequence: number;
  /** Whether all events of the call were stored before, so that nothing was written now. */
  readonly duplicate: boolean;
}

/** A version that an actor must be at. */
export interface ExpectedVersion {
  /** The actor, whether the save writes it or not. */
  readonly actorId: string;
  /** Its latest version, exactly; 0 means that it must not exist. */
  readonly version: number;
}

/** Options for {@linkcode EventStore.saveEvents}. */
export interface SaveOptions {
  /** Versions that the save depends on; the server checks them in the same commit. @default {[]} */
  readonly expect?: readonly ExpectedVersion[];
  /**
   * Stops waiting. The save then rejects, with the signal's reason as `cause`: with
   * `StoreUnavailableError` if nothing was saved, with `SaveOutcomeUnknownError` if it may be.
   */
  readonly signal?: AbortSignal;
}

/** Options for {@linkcode EventStore.readEvents}. */
export interface ReadOptions {
  /** Lowest version wanted. @default {0} */
  readonly fromVersion?: number;
  /** Highest version wanted. @default {no bound} */
  readonly toVersion?: number;
  /** Ascending versions, or descending ones. @default {"forwards"} */
  readonly direction?: "forwards" | "backwards";
  /** Most events to yield; 0 or more. @default {no bound} */
  readonly limit?: number;
  /** Ends the read by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Selects events of a store; an event has to meet all of the conditions.
 *
 * @typeParam E The union of the events: a type that none of them has is a compile error.
 */
export interface EventFilter<E extends Event = Event> {
  /**
   * Only actors whose id begins with this and a `-`, or is this; the server filters. The category
   * ends at the first `-` of an id, so one with a `-` inside is refused by a `RangeError`.
   */
  readonly category?: string;
  /** Only this actor; the server filters. */
  readonly actorId?: string;
  /** Only these types; the client filters. */
  readonly eventTypes?: readonly E["eventType"][];
}

/** Options for {@linkcode EventStore.readAll}. */
export interface ReadAllOptions {
  /** First sequence wanted, inclusive. @default {"start"} */
  readonly from?: "start" | number;
  /** Which events. @default {all} */
  readonly filter?: EventFilter;
  /** Ends the read by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options for {@linkcode EventStore.listActors}. */
export interface ListActorsOptions {
  /** Only actors of this category, as in {@linkcode EventFilter}. @default {all} */
  readonly category?: string;
}

/** Options for {@linkcode EventStore.getLatestVersion}. */
export interface LatestVersionOptions {
  /** Asks the server even if the cache has a recent answer. @default {false} */
  readonly fresh?: boolean;
}

/** Options for {@linkcode EventStore.subscribe}. */
export interface EventSubscriptionOptions {
  /**
   * First sequence wanted, inclusive: to go on after an event, give its sequence + 1. `"now"`
   * yields the events that are saved after `caughtUp` has resolved. @default {"start"}
   */
  readonly from?: "start" | "now" | number;
  /** Which events. @default {all} */
  readonly filter?: EventFilter;
  /** Ends the subscription quietly, at once. */
  readonly signal?: AbortSignal;
}
