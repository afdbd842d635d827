/** What a save gives back. */
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
  /** Versions that the save depends on, decided by the server in the same commit. @default {[]} */
  readonly expect?: readonly ExpectedVersion[];
  /**
   * Stops waiting. The save then rejects with what is known, the signal's reason as `cause`:
   * `StoreUnavailableError`, nothing was saved; `SaveOutcomeUnknownError`, it may be.
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
  /** Events at most; 0 or more. @default {no bound} */
  readonly limit?: number;
  /** Ends the read by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Which events of a store are wanted; all of the conditions have to hold. */
export interface EventFilter {
  /** Of actors whose id begins with this and a `-`, or is this; done by the server. */
  readonly category?: string;
  /** Of this actor; done by the server. */
  readonly actorId?: string;
  /** Of these types; done by the client. */
  readonly eventTypes?: readonly string[];
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
  /** Only actors of this category. @default {all} */
  readonly category?: string;
}

/** Options for {@linkcode EventStore.getLatestVersion}. */
export interface LatestVersionOptions {
  /** Asks the server even where the cache has a recent answer. @default {false} */
  readonly fresh?: boolean;
}

/** Options for {@linkcode EventStore.subscribe}. */
export interface EventSubscriptionOptions {
  /**
   * First sequence wanted, inclusive: what follows on the last event that was handled is its
   * sequence + 1. `"now"` is what is saved after `caughtUp` has resolved. @default {"start"}
   */
  readonly from?: "start" | "now" | number;
  /** Which events. @default {all} */
  readonly filter?: EventFilter;
  /** Ends the subscription quietly, at once. */
  readonly signal?: AbortSignal;
}
