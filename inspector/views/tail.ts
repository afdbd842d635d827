import type { EventView } from "./actor.ts";

/** The body of a request for `tail`. */
export interface TailQuery {
  readonly category?: string;
  /** Only these types. */
  readonly eventTypes?: readonly string[];
  /** Only events whose id, actor, type or JSON holds this text; case does not matter. */
  readonly text?: string;
  /** The most events in a second that are sent; the others are counted. @default {20} */
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
