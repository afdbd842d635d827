import { reasonOf } from "../base/reason.ts";
import { StoreUnavailableError, VersionConflictError } from "../errors.ts";
import type { CheckedEvent } from "../format/encode.ts";

/** The error of a save when an actor is not at the expected version. */
export function expectationFailed(
  actorId: string,
  expected: number,
  current: number,
  events: readonly CheckedEvent[],
): VersionConflictError {
  const attempted = events.find((event) => event.actorId === actorId)?.version ?? expected;
  const reason = `version ${expected} was expected, and current version is ${current}`;
  return new VersionConflictError(actorId, attempted, current, reason);
}

/** The error of a save that is certainly not stored; `event` is its first. */
export function unavailable(
  event: Pick<CheckedEvent, "actorId" | "version">,
  cause: unknown,
): StoreUnavailableError {
  const { actorId, version } = event;
  const reason = reasonOf(
    cause,
    cause === undefined ? "its turn did not come in time" : undefined,
  );
  return new StoreUnavailableError(
    `Cannot save event at version ${version} of "${actorId}": ${reason}; nothing was saved`,
    { cause },
  );
}

/**
 * The error of `event` when its actor is at version `current`.
 *
 * @param difference How it differs from the stored event of its id, if that is what is wrong.
 */
export function conflictOf(
  event: CheckedEvent,
  current: number,
  difference?: string,
): VersionConflictError {
  const { actorId, version } = event;
  return version > current
    ? new VersionConflictError(
      actorId,
      version,
      current,
      `other events of its batch are stored already, this one is not; current version is ${current}`,
    )
    : new VersionConflictError(actorId, version, current, difference);
}

/** The conflict of a save with an actor that does not end any more where it was decided. */
export function endMoved(
  actorId: string,
  expected: number,
  current: number,
  events: readonly CheckedEvent[],
): VersionConflictError {
  const attempted = events.find((event) => event.actorId === actorId)?.version ?? expected;
  const reason = `another command was handled meanwhile, and current version is ${current}`;
  return new VersionConflictError(actorId, attempted, current, reason);
}
