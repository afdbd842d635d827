import type { Time } from "./time.ts";

/** The body of a request for `causation`. */
export interface CausationQuery {
  /** An event's id. */
  readonly eventId: string;
  /** Its position, if that is known: saves a search. */
  readonly sequence?: number;
}

/**
 * The tree around an event: the event `causation` of the answer of `causation`, behind any number of
 * `progress` (`{ events, position }`). Nodes stand behind their causes.
 */
export interface CausationView {
  readonly eventId: string;
  /** At most 500: the event itself, its causes, then others in the order of the store. */
  readonly nodes: readonly CausationNode[];
  /** Nodes that are left out. */
  readonly omitted: number;
}

/** A node of the tree. */
export type CausationNode = CausedEvent | OutsideCause;

/** An event in the tree. */
export interface CausedEvent {
  readonly kind: "event";
  readonly id: string;
  /** The id of the node that it follows from; absent at a root. */
  readonly cause?: string;
  /** Effects of this node that are left out. */
  readonly omitted?: number;
  readonly sequence: number;
  readonly eventType: string;
  readonly actorId: string;
  readonly version: number;
  readonly timestamp: Time;
  readonly correlationId?: string;
  /** The process whose history it is in, if it is one. */
  readonly process?: { readonly name: string; readonly id: string };
  /** The command that it issues: it is a process's `CommandIssued`. */
  readonly command?: {
    readonly id: string;
    /** The actor that gets it. */
    readonly actorId: string;
    readonly command: unknown;
    /** Whether the process has taken its outcome in. */
    readonly settled: boolean;
    /** Why it was refused before it was sent. */
    readonly refused?: string;
  };
}

/** A cause that is named and is no stored event: a command or a request from outside. */
export interface OutsideCause {
  readonly kind: "outside";
  readonly id: string;
  readonly cause?: undefined;
  readonly omitted?: number;
}
