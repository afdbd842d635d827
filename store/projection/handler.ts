import type { Event, RecordedEvent } from "../event.ts";

/** The second argument of a handler, beside the event. */
export interface ProjectionContext<Tx = undefined> {
  /** The transaction of this event; `undefined` if the checkpoint store has none. */
  readonly tx: Tx;
  /** The version of the projection that is built: 1, and one more with each rebuild. */
  readonly version: number;
  /** The partition of the event's actor. */
  readonly partition: number;
  /**
   * Whether the projection is catching up: the event was stored before this process began to read
   * its partition, or it was parked and is tried again. False for an event that came since.
   */
  readonly isReplay: boolean;
  /** Aborted when the projection is stopping: a slow handler may throw, and gets the event again. */
  readonly signal: AbortSignal;
}

/**
 * Handles one event; the next one of the partition waits for it. If it throws, the projection
 * tries again; see `retry` and `onPoison`.
 */
export type ProjectionHandler<Tx = undefined, E extends Event = Event> = (
  event: E & RecordedEvent,
  context: ProjectionContext<Tx>,
) => void | Promise<void>;
