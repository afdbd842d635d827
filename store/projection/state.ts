import { textOf } from "../base/text.ts";
import { encodeToken } from "../base/token.ts";
import type { FailedEvent } from "../errors.ts";
import type { EventFacts } from "./arrival.ts";

/** Into how many partitions a projection may divide the actors. */
export const MAX_PARTITIONS = 256;

/** An actor with an event that could not be handled: that event and all later ones wait. */
export interface ParkedActor {
  /** The actor. */
  readonly actorId: string;
  /** Position of the first event of the next try. */
  readonly sequence: number;
  /** The id of the event that failed; `""` if its message does not say. */
  readonly eventId: string;
  /** Its type; `""` if its message does not say. */
  readonly eventType: string;
  /** Its version; 0 if its message does not say. */
  readonly version: number;
  /** How many events of the actor wait, including the one that failed. */
  readonly events: number;
  /** How often that one was tried. */
  readonly attempts: number;
  /** The last error of its handler, or of reading it, as text. */
  readonly reason: string;
  /** When it was parked, as ISO 8601. */
  readonly since: string;
}

/** A parked actor as it is kept. */
export interface KeptParked extends ParkedActor {
  /** The last request to try again that was answered. */
  readonly answered?: string;
}

/** Names a partition of one version of a projection. */
export interface PartitionId {
  readonly version: number;
  readonly partition: number;
  /** Into how many partitions the version divides the actors. */
  readonly of: number;
  /** Where it begins, if not at the store's first event. */
  readonly begin?: ProjectionBeginning;
}

/** The state of one partition of one version of a projection. */
export interface PartitionState {
  /** Names the owner that saved it: a new name for each claim by a process. */
  readonly owner: string;
  /** The identity of the store whose events these are. */
  readonly identity: string;
  /** Position of the last event handled or parked; 0 before the first. */
  readonly sequence: number;
  /** The id of that event; empty if it has seen none since it began. */
  readonly eventId: string;
  /** The actor of that event. */
  readonly actorId: string;
  /** Whether it has reached the store's end once. */
  readonly caughtUp: boolean;
  /** Whether another version replaces it, so that no process goes on with it. */
  readonly retired: boolean;
  /** The actors whose events wait. */
  readonly parked: readonly KeptParked[];
}

/** A version of a projection; each writes a read model of its own. */
export interface ProjectionVersion {
  /** Counts the versions of the projection, from 1. */
  readonly version: number;
  /** Into how many partitions it divides the actors. */
  readonly partitions: number;
  /** Where it begins, if not at the store's first event. */
  readonly begin?: ProjectionBeginning;
  /** Names the filter of its events; absent in a control that older code has saved. */
  readonly filter?: string;
}

/** The place where a version of a projection begins. */
export interface ProjectionBeginning {
  /** The identity of the store. */
  readonly identity: string;
  /** It begins after this position. */
  readonly sequence: number;
}

/** A message that a projection passes over, on purpose; see {@linkcode Projection.skip}. */
export interface SkippedMessage {
  /** Its position. */
  readonly sequence: number;
  /** When that was asked for, as ISO 8601. */
  readonly since: string;
}

/** The control of a projection, shared by all processes that run it. */
export interface ProjectionControl {
  /** The version that is read. */
  readonly active: ProjectionVersion;
  /** The version that is built beside it. */
  readonly next?: ProjectionVersion;
  /** The highest version that ever existed. */
  readonly latest: number;
  /** Whether handling is paused. */
  readonly paused: boolean;
  /** Actors to try again, each with the name of the request. */
  readonly retries: Readonly<Record<string, string>>;
  /** Messages of no actor to pass over; none in a control that older code has saved. */
  readonly skipped?: readonly SkippedMessage[];
  /** Why the last rebuild was given up. */
  readonly failed?: {
    readonly version: number;
    readonly reason: string;
    /** The event that its handler failed at. */
    readonly event?: FailedEvent;
  };
  /** Differs at each save, so that a writer knows its own. */
  readonly nonce: string;
}

/** Keys of one projection in its checkpoint store: letters, digits, `_`, `-`, `=` and dots. */
export class ProjectionKeys {
  readonly #name: string;

  /**
   * Encodes the projection's name.
   *
   * @throws {RangeError} It is empty, not well-formed, or over 200 bytes when encoded.
   */
  constructor(name: string) {
    this.#name = encodeToken(name);
  }

  /** The key of its {@linkcode ProjectionControl}. */
  get control(): string {
    return `${this.#name}.control`;
  }

  /** The key of a {@linkcode PartitionState}. */
  partition(version: number, partition: number): string {
    return `${this.#name}.${version}.${partition}`;
  }
}

/** The state before the first event. */
export function beginning({ identity, sequence }: ProjectionBeginning): PartitionState {
  return {
    owner: "",
    identity,
    sequence,
    eventId: "",
    actorId: "",
    caughtUp: false,
    retired: false,
    parked: [],
  };
}

/** The state after `event` is handled; if its actor is parked, the event waits too. */
export function passed(
  state: PartitionState,
  event: Pick<EventFacts, "sequence" | "id" | "actorId">,
): PartitionState {
  const { sequence, id: eventId, actorId } = event;
  if (state.parked.length === 0) return { ...state, sequence, eventId, actorId };
  const parked = state.parked.map((it) =>
    it.actorId === actorId ? { ...it, events: it.events + 1 } : it
  );
  return { ...state, sequence, eventId, actorId, parked };
}

/** The state after `event` is parked, the first of its actor. */
export function park(
  state: PartitionState,
  event: EventFacts,
  error: unknown,
  attempts: number,
): PartitionState {
  const { sequence, id: eventId, actorId, eventType, version } = event;
  const since = new Date().toISOString();
  const reason = shortReason(error);
  const own = {
    actorId,
    sequence,
    eventId,
    eventType,
    version,
    events: 1,
    attempts,
    reason,
    since,
  };
  return { ...state, sequence, eventId, actorId, parked: [...state.parked, own] };
}

/** The state with `change` applied to a parked actor; `undefined` removes the actor. */
export function reparked(
  state: PartitionState,
  actorId: string,
  change: (parked: KeptParked) => KeptParked | undefined,
): PartitionState {
  const parked = state.parked.flatMap((it) => it.actorId === actorId ? change(it) ?? [] : it);
  return { ...state, parked };
}

/** An error as short text. */
export function shortReason(error: unknown): string {
  return textOf(error, 500);
}
