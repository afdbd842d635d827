import type { Event, EventMetadata } from "./event.ts";
import { EventTooLargeError, InvalidEventError, VersionConflictError } from "./errors.ts";
import { unfaithful } from "./faithful.ts";
import type { ExpectedVersion } from "./store.ts";
import { MAX_BATCH } from "./layout.ts";
import { describe, tokenProblem } from "./token.ts";

const encoder = new TextEncoder();

/** Bytes of one message that are kept free for headers, so that all stores refuse alike. */
export const HEADER_ROOM = 2048;
/** Bytes that one message may take unless the server says less. */
export const MAX_BYTES = 1024 * 1024;

/** An event that is checked and copied: what the caller does to the original changes nothing. */
export interface PreparedEvent {
  readonly id: string;
  readonly eventType: string;
  readonly actorId: string;
  readonly version: number;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly metadata: EventMetadata | undefined;
  /** The event as it is stored. */
  readonly body: Uint8Array;
}

/**
 * Checks and copies the events of one save.
 *
 * @param maxBytes What one message may take, headers included.
 * @throws {RangeError} None, or more than a batch takes.
 * @throws {InvalidEventError} An event cannot be stored, or the versions of an actor do not grow.
 * @throws {EventTooLargeError} An event is too large.
 */
export function prepareEvents(events: readonly Event[], maxBytes: number): PreparedEvent[] {
  if (!Array.isArray(events)) throw new TypeError("Cannot save events: an array is needed");
  if (events.length === 0) throw new RangeError("Cannot save events: there are none");
  if (events.length > MAX_BATCH) {
    throw new RangeError(
      `Cannot save ${events.length} events at once: at most ${MAX_BATCH} fit in one batch`,
    );
  }
  // Unlike map(), this sees holes too.
  const prepared = Array.from(events, (event) => prepareEvent(event, maxBytes));
  const ids = new Set<string>();
  const latest = new Map<string, number>();
  for (const { id, actorId, version } of prepared) {
    if (ids.has(id)) throw new InvalidEventError(`id ${describe(id)} stands twice in the batch`);
    ids.add(id);
    const before = latest.get(actorId) ?? 0;
    if (version <= before) {
      throw new InvalidEventError(
        `version ${version} of ${describe(actorId)} follows version ${before} in the batch; ` +
          "versions of one actor must grow",
      );
    }
    latest.set(actorId, version);
  }
  return prepared;
}

/**
 * Checks the expectations of a save of `events`, by actor.
 *
 * @throws {RangeError} An actor id or a version is impossible, an actor is named twice, or there
 * are more than a batch takes: see `messagesOf()` for what rides where.
 */
export function prepareExpected(
  expect: readonly ExpectedVersion[] = [],
  events: readonly PreparedEvent[],
): ReadonlyMap<string, number> {
  const expected = new Map<string, number>();
  for (const { actorId, version } of expect) {
    checkActorId(actorId);
    if (!Number.isSafeInteger(version) || version < 0) {
      throw new RangeError(
        `Cannot expect version ${version} of "${actorId}": a safe integer of 0 or more is needed`,
      );
    }
    if (expected.has(actorId)) {
      throw new RangeError(`Cannot expect two versions of "${actorId}": it is named twice`);
    }
    expected.set(actorId, version);
  }
  const actors = new Set(events.map(({ actorId }) => actorId));
  const guards = [...expected.keys()].filter((actorId) => !actors.has(actorId)).length;
  const messages = Math.max(events.length, actors.size + guards);
  if (messages > MAX_BATCH) {
    throw new RangeError(
      `Cannot save ${events.length} events while ${guards} other actors are expected: that takes ` +
        `${messages} messages, and ${MAX_BATCH} fit in one batch`,
    );
  }
  return expected;
}

/** The conflict of a save with an actor that is not at the version expected. */
export function expectationFailed(
  actorId: string,
  expected: number,
  current: number,
  events: readonly PreparedEvent[],
): VersionConflictError {
  const attempted = events.find((event) => event.actorId === actorId)?.version ?? expected;
  const reason = `version ${expected} was expected, and current version is ${current}`;
  return new VersionConflictError(actorId, attempted, current, reason);
}

/** Checks and copies one event; see {@linkcode prepareEvents}. */
export function prepareEvent(event: Event, maxBytes: number): PreparedEvent {
  if (typeof event !== "object" || event === null) {
    throw new InvalidEventError(`it is ${describe(event)}, not an event`);
  }
  const { id, eventType, actorId, version, data, timestamp, metadata } = event;
  checkToken("id", id);
  checkToken("eventType", eventType);
  checkToken("actorId", actorId);
  const impossible = versionProblem(version);
  if (impossible !== undefined) throw new InvalidEventError(impossible);
  const problem = timestampProblem(timestamp) ?? unfaithful(data, "data");
  if (problem !== undefined) throw new InvalidEventError(problem);
  const copied = copyMetadata(metadata);
  const time = timestamp.toISOString();
  const body = encoder.encode(JSON.stringify({
    id,
    eventType,
    actorId,
    version,
    data,
    timestamp: time,
    ...(copied && { metadata: copied }),
  }));
  const limit = maxBytes - HEADER_ROOM;
  if (body.length > limit) throw new EventTooLargeError(actorId, version, body.length, limit);
  return { id, eventType, actorId, version, timestamp: time, metadata: copied, body };
}

/** The conflict of `event` with an actor that is at version `current`. */
export function conflictOf(event: PreparedEvent, current: number): VersionConflictError {
  const { actorId, version } = event;
  return version > current
    ? new VersionConflictError(
      actorId,
      version,
      current,
      `other events of its batch are stored already, this one is not; current version is ${current}`,
    )
    : new VersionConflictError(actorId, version, current);
}

/**
 * Refuses an actor id that no store can keep, where it is an argument rather than an event's.
 *
 * @throws {RangeError} The id is empty, too long, or not well-formed.
 */
export function checkActorId(actorId: string): void {
  const problem = tokenProblem(actorId);
  if (problem !== undefined) {
    throw new RangeError(`Cannot look up actor ${describe(actorId)}: its id ${problem}`);
  }
}

/** Refuses a first version that no history can have. */
export function checkFromVersion(fromVersion: number): void {
  if (!Number.isSafeInteger(fromVersion) || fromVersion < 0) {
    throw new RangeError(
      `Cannot read from version ${fromVersion}: a safe integer of 0 or more is needed`,
    );
  }
}

function checkToken(name: string, value: unknown): void {
  const problem = tokenProblem(value);
  if (problem !== undefined) throw new InvalidEventError(`${name} ${describe(value)} ${problem}`);
}

/** What makes `version` impossible as an event's, or `undefined` if it will do. */
export function versionProblem(version: unknown): string | undefined {
  if (Number.isSafeInteger(version) && (version as number) >= 1) return undefined;
  const given = typeof version === "number" ? version : describe(version);
  return `version ${given} is not a safe integer of 1 or more`;
}

/** What is wrong with `timestamp`, or `undefined` if it will do. */
export function timestampProblem(timestamp: unknown): string | undefined {
  if (!isDate(timestamp)) return `timestamp is ${describe(timestamp)}, not a Date`;
  return Number.isNaN(timestamp.getTime()) ? "timestamp is no valid date" : undefined;
}

/** Also true for a `Date` of another realm, for which `instanceof` fails; a look-alike throws. */
function isDate(value: unknown): value is Date {
  try {
    Date.prototype.getTime.call(value);
    return true;
  } catch {
    return false;
  }
}

function copyMetadata(metadata: EventMetadata | undefined): EventMetadata | undefined {
  if (metadata === undefined) return undefined;
  const problem = unfaithful(metadata, "metadata");
  if (problem !== undefined) throw new InvalidEventError(problem);
  if (metadata === null || typeof metadata !== "object" || Array.isArray(metadata)) {
    throw new InvalidEventError("metadata is not an object of strings");
  }
  const entries = Object.entries(metadata).filter(([, value]) => value !== undefined);
  for (const [key, value] of entries) {
    if (typeof value !== "string") {
      throw new InvalidEventError(`metadata.${key} is ${describe(value)}, not a string`);
    }
  }
  return Object.fromEntries(entries);
}
