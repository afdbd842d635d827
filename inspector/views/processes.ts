import type { Time } from "./time.ts";

/** The body of a request for `processes`. */
export interface ProcessesQuery {
  /** Only those of this manager. */
  readonly name?: string;
  /** Only those that are parked. */
  readonly parked?: boolean;
  /** The `next` of the page before. */
  readonly after?: string;
  /** @default {50} */
  readonly limit?: number;
}

/** A page of the processes that have not ended: the answer of `processes`. */
export interface ProcessesView {
  readonly at: Time;
  readonly managers: readonly {
    readonly name: string;
    /** Whether this process has its object, so that it can be acted on. */
    readonly isLocal: boolean;
    /** The actions that can be asked for here; empty without actions. */
    readonly actions: readonly ("retry" | "end" | "pause" | "resume")[];
  }[];
  readonly processes: readonly ProcessView[];
  /** Pass it as `after` for the next page; absent on the last one. */
  readonly next?: string;
}

/** A process that has not ended, and what it waits for. */
export interface ProcessView {
  readonly name: string;
  readonly id: string;
  /** The actor that is its history. */
  readonly actorId: string;
  readonly version: number;
  /** Commands whose outcome it waits for. */
  readonly commands: readonly {
    readonly id: string;
    readonly actorId: string;
    readonly since: Time;
  }[];
  /** Effects whose end it waits for. */
  readonly effects: readonly {
    readonly id: string;
    readonly name: string;
    readonly started: boolean;
    readonly since: Time;
  }[];
  /** Deadlines to come, the first one first. */
  readonly deadlines: readonly { readonly name: string; readonly at: Time }[];
  /** Where and why it is parked. */
  readonly parked?: {
    readonly sequence: number;
    readonly eventId: string;
    readonly reason: string;
    readonly since: Time;
  };
}
