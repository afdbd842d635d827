/**
 * How calls of a store end, as a history tells it.
 *
 * @module
 */

import { isAetherError } from "../../../store/mod.ts";
import type { Outcome, Output } from "./history.ts";

/** Errors that say that nothing was stored, or that a read could not be made. */
const REFUSALS = [
  ...["VersionConflictError", "StoreUnavailableError", "StoreRefusedError", "FencedError"],
  ...["CommandRefusedError"],
] as const;

/** How a call ended, for the history. */
export interface End {
  readonly outcome: Outcome;
  readonly output: Output;
}

/** How a call that failed ended; an error that was not promised ends it too, and names itself. */
export async function endOf(error: unknown, settles: boolean): Promise<End> {
  const name = error instanceof Error ? error.name : String(error);
  if (isAetherError(error, "VersionConflictError")) {
    const { actorId, currentVersion: version } = error;
    return { outcome: "refused", output: { error: name, actorId, version } };
  }
  if (isAetherError(error, "SaveOutcomeUnknownError")) {
    if (!settles) return { outcome: "unknown", output: { error: name } };
    const settled = await error.settle().catch(() => "unknown" as const);
    const outcome = settled === "saved" ? "ok" : settled === "not-saved" ? "refused" : "unknown";
    return { outcome, output: { error: `${name}, settled` } };
  }
  if (REFUSALS.some((code) => isAetherError(error, code)) || error instanceof RangeError) {
    return { outcome: "refused", output: { error: name } };
  }
  return { outcome: "unknown", output: { error: `Unexpected ${error}` } };
}
