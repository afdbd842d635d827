import { checkRoom } from "../check/events.ts";
import type { PreparedEvent } from "../format/encode.ts";
import { divide, membersOf, runsOf, type SavePart } from "../format/runs.ts";
import type { Save } from "./messages.ts";

/** A save whose events may still have to be encoded. */
export interface SavePlan extends Omit<Save, "events" | "runs"> {
  /** The parts of its events that are commits of their own, saved together all the same. */
  readonly parts: readonly SavePart[];
  /** Bytes that one of its messages may have. */
  readonly maxBytes: number;
}

/**
 * The save of events whose bodies are at hand.
 *
 * @param claims Guards beside those on other actors.
 * @throws {RangeError} They take more messages than fit in one batch.
 */
export function saveOf(plan: SavePlan, events: readonly PreparedEvent[], claims = 0): Save {
  const members = membersOf(plan.parts, events);
  const runs = members.length === 1
    ? runsOf(members[0]!, plan.maxBytes)
    : divide(members, plan.maxBytes).runs;
  checkRoom(events.length, runs.length, plan, claims);
  return { ...plan, events, runs };
}
