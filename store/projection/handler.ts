import type { Event, RecordedEvent } from "../event.ts";

/** What a handler is told beside the event. */
export interface ProjectionContext<Tx = undefined> {
  /** What belongs to the transaction of this event; `undefined` where there are none. */
  readonly tx: Tx;
  /** The version of the projection that is built: 1, and one more with each rebuild. */
  readonly version: number;
  /** The partition that the event's actor is in. */
  readonly partition: number;
  /** Aborted when the projection is being stopped: what takes long may throw, and comes again. */
  readonly signal: AbortSignal;
}

/**
 * Handles one event; the next one of the partition waits for it. To throw is to have it tried
 * again; see `retry` and `onPoison`.
 */
export type ProjectionHandler<Tx = undefined, E extends Event = Event> = (
  event: E & RecordedEvent,
  context: ProjectionContext<Tx>,
) => void | Promise<void>;
