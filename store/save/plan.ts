import { checkRoom } from "../check/events.ts";
import type { CheckedEvent, PreparedEvent } from "../format/encode.ts";
import { divide, membersOf, type Receipt, runsOf } from "../format/runs.ts";
import type { Save } from "./messages.ts";

/** A save whose events may still have to be encoded. */
export interface SavePlan extends Omit<Save, "events" | "runs"> {
  /** Bytes that one of its messages may have. */
  readonly maxBytes: number;
  /** Throws if it must not be sent any more when its turn comes. */
  readonly check?: () => void;
  /** The outcome to store if there are no events. */
  readonly receipt?: Receipt | undefined;
}

/** The actor and the version that errors of a save name. */
export function subjectOfPlan(
  { actors, receipt }: SavePlan,
  [first]: readonly CheckedEvent[],
): Pick<CheckedEvent, "actorId" | "version"> {
  return first ?? { actorId: actors[0]!, version: receipt!.version };
}

/**
 * The save of events whose bodies are at hand.
 *
 * @param claims Guards beside those on other actors.
 * @throws {RangeError} They take more messages than fit in one batch.
 */
export function saveOf(plan: SavePlan, events: readonly PreparedEvent[], claims = 0): Save {
  const members = membersOf(plan.parts, events, plan.receipt);
  const runs = members.length === 1
    ? runsOf(members[0]!, plan.maxBytes)
    : divide(members, plan.maxBytes).runs;
  checkRoom(events.length, runs.length, plan, claims);
  return { ...plan, events, runs };
}
