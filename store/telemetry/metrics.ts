import { nameOf } from "../base/text.ts";

/** Durations of successful calls, in ms. */
export interface StoreLatency {
  /** Calls measured. */
  readonly count: number;
  /** Their sum. */
  readonly total: number;
  /** The longest. */
  readonly max: number;
}

/** Calls of `saveEvent` and `saveEvents` that have ended, by outcome. */
export interface SaveCounts {
  /** Stored their events. */
  readonly saved: number;
  /** Their events were stored before: `duplicate` in the receipt. */
  readonly duplicate: number;
  /** Another writer was faster: `VersionConflictError`. */
  readonly conflict: number;
  /** Not sent: invalid or too large events, wrong arguments. */
  readonly refused: number;
  /** Stored nothing: `StoreUnavailableError`. */
  readonly unavailable: number;
  /** Stored once or not at all, and not known which: `SaveOutcomeUnknownError`. */
  readonly unknown: number;
  /** Ended by any other error. */
  readonly failed: number;
}

/** Actors that `getLatestVersion` and `getLatestVersions` looked up, by the source of the answer. */
export interface LookupCounts {
  /** Answered from memory, without I/O; on `InMemoryEventStore` all are. */
  readonly cached: number;
  /** Answered by the server. */
  readonly uncached: number;
  /** The server did not answer. */
  readonly failed: number;
}

/** Counts of a store's work since it was made. */
export interface StoreMetrics {
  /** Saves that have ended. */
  readonly saves: SaveCounts;
  /** Saves that have not ended. */
  readonly activeSaves: number;
  /** Those of `saves.saved` that had several events. */
  readonly batches: number;
  /** Events of `saves.saved`. */
  readonly eventsSaved: number;
  /** Reads of events that have ended, at their end or because their reader left. */
  readonly reads: number;
  /** Reads that threw, also by their own signal. */
  readonly readErrors: number;
  /** Events that reads returned. */
  readonly eventsRead: number;
  /** Lookups of latest versions. */
  readonly lookups: LookupCounts;
  /** Subscriptions that have not ended. */
  readonly activeSubscriptions: number;
  /** Events that subscriptions yielded. */
  readonly eventsDelivered: number;
  /** Saves that resolved, from the call on: includes the wait for the actor's earlier saves. */
  readonly saveLatency: StoreLatency;
  /** `getEvents` and `getEventsWithErrors`; an iteration takes as long as its reader likes. */
  readonly readLatency: StoreLatency;
  /** Lookups that the server answered. */
  readonly lookupLatency: StoreLatency;
}

type Mutable<T> = {
  -readonly [Key in keyof T]: T[Key] extends object ? Mutable<T[Key]> : T[Key];
};

/** The numbers of one store as they grow. */
export type StoreCounts = Mutable<StoreMetrics>;

/** The numbers of a new store. */
export function noCounts(): StoreCounts {
  return {
    saves: {
      saved: 0,
      duplicate: 0,
      conflict: 0,
      refused: 0,
      unavailable: 0,
      unknown: 0,
      failed: 0,
    },
    activeSaves: 0,
    batches: 0,
    eventsSaved: 0,
    reads: 0,
    readErrors: 0,
    eventsRead: 0,
    lookups: { cached: 0, uncached: 0, failed: 0 },
    activeSubscriptions: 0,
    eventsDelivered: 0,
    saveLatency: { count: 0, total: 0, max: 0 },
    readLatency: { count: 0, total: 0, max: 0 },
    lookupLatency: { count: 0, total: 0, max: 0 },
  };
}

/** A copy of the current numbers. */
export function snapshotOf(counts: StoreCounts): StoreMetrics {
  return structuredClone(counts);
}

/** Adds one call that took `ms`. */
export function addTo(latency: StoreCounts["saveLatency"], ms: number): void {
  latency.count++;
  latency.total += ms;
  if (ms > latency.max) latency.max = ms;
}

/** The outcome of a save that rejected with `error`, by its name, which all copies share. */
export function failedSaveOutcome(error: unknown): keyof SaveCounts {
  switch (nameOf(error)) {
    case "VersionConflictError":
      return "conflict";
    case "InvalidEventError":
    case "EventTooLargeError":
    case "RangeError":
    case "TypeError":
      return "refused";
    case "StoreUnavailableError":
      return "unavailable";
    case "SaveOutcomeUnknownError":
      return "unknown";
    default:
      return "failed";
  }
}
