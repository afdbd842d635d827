import { given, needObject } from "../base/given.ts";
import { reasonOf } from "../base/reason.ts";
import { jsonProblem, TOO_MANY } from "../base/json_fidelity.ts";
import { describe, tokenProblem } from "../base/token.ts";
import { checkActorId } from "./query.ts";
import { EventTooLargeError, InvalidEventError, isAetherError } from "../errors.ts";
import type { Event, EventMetadata } from "../event.ts";
import { isRuleFault } from "../event_rules.ts";
import { timestampProblem } from "../format/decode.ts";
import {
  type CheckedEvent,
  encodeEvent,
  type Encoding,
  type PreparedEvent,
} from "../format/encode.ts";
import { HEADER_ROOM, MAX_BATCH } from "../format/layout.ts";
import { MAX_RUN } from "../format/position.ts";
import { messagesFor } from "../format/runs.ts";
import type { ExpectedVersion } from "../options.ts";
import { schemaOf } from "../upcast.ts";

/** Bytes that one message may take unless the server allows less. */
export const MAX_BYTES = 1024 * 1024;

/** Events that fit in one batch at most: 256 in each of its messages. */
const MAX_EVENTS = MAX_BATCH * MAX_RUN;

const NONE: ReadonlyMap<string, number> = new Map();

/**
 * Checks and copies the events of one save.
 *
 * @throws {RangeError} There are no events, or more than a batch takes.
 * @throws {InvalidEventError} An event cannot be stored, or the versions of an actor do not grow.
 * @throws {EventTooLargeError} An event is too large.
 */
export function prepareEvents(events: readonly Event[], encoding: Encoding): CheckedEvent[] {
  if (!Array.isArray(events)) throw new TypeError("Cannot save events: an array is needed");
  if (events.length === 0) throw new RangeError("Cannot save events: there are none");
  if (events.length > MAX_EVENTS) {
    throw new RangeError(
      `Cannot save ${events.length} events at once: at most ${MAX_EVENTS} fit in one batch`,
    );
  }
  if (events.length === 1) return [checkEvent(events[0]!, encoding)];
  // Unlike map(), this sees holes too.
  const prepared = Array.from(events, (event, at) => {
    try {
      return checkEvent(event, encoding);
    } catch (error) {
      if (!isAetherError(error, "InvalidEventError")) throw error;
      throw new InvalidEventError(`events[${at}]: ${error.reason}`, {
        cause: error.cause,
        issues: error.issues,
      });
    }
  });
  const ids = new Set<string>();
  const latest = new Map<string, number>();
  for (const { id, actorId, version } of prepared) {
    if (ids.has(id)) throw new InvalidEventError(`id ${describe(id)} is twice in the batch`);
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
 * @throws {TypeError} They are of another kind.
 * @throws {RangeError} An actor id or a version is impossible, an actor is named twice, or there
 * are more than a batch takes: see `messagesOf()` for the places of guards.
 */
export function prepareExpected(
  expect: readonly ExpectedVersion[] = [],
  events: readonly CheckedEvent[],
): ReadonlyMap<string, number> {
  if (!Array.isArray(expect)) {
    throw new TypeError(`Cannot save events: expect is ${given(expect)}, not an array`);
  }
  if (expect.length === 0) return NONE;
  const expected = new Map<string, number>();
  for (const one of expect as readonly ExpectedVersion[]) {
    needObject(one, "save events", "a part of expect", "an object with actorId and version");
    const { actorId, version } = one;
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
  checkRoom(events.length, actors.size, { actors: [...actors], expect: expected });
  return expected;
}

/**
 * Refuses a save that takes more messages than the server takes in one batch.
 *
 * @param runs The messages of its events.
 * @param claims Guards beside those on other actors: on the fences of shards.
 * @throws {RangeError} It takes too many.
 */
export function checkRoom(
  events: number,
  runs: number,
  { actors, expect }: { actors: readonly string[]; expect: ReadonlyMap<string, number> },
  claims = 0,
): void {
  if (runs === 1 && expect.size === 0 && claims === 0) return;
  let guards = 0;
  for (const actorId of expect.keys()) if (!actors.includes(actorId)) guards++;
  const messages = messagesFor(runs, actors.length, guards + claims);
  if (messages <= MAX_BATCH) return;
  const beside = guards > 0 ? ` while ${guards} other actors are expected` : "";
  const fenced = claims > 0 ? ` under the fences of ${claims} shards` : "";
  throw new RangeError(
    `Cannot save ${events} events of ${actors.length} actors at once${beside}${fenced}: that takes ` +
      `${messages} messages, and ${MAX_BATCH} fit in one batch`,
  );
}

/** The error of a save that takes more messages than the server is configured to take in a batch. */
export function batchTooLarge(
  { events, actors }: {
    readonly events: readonly CheckedEvent[];
    readonly actors: readonly string[];
  },
  limit: number,
  cause: unknown,
): RangeError {
  return new RangeError(
    `Cannot save ${events.length} events of ${actors.length} actors at once: the server takes ` +
      `${limit} messages in one batch; raise max_msgs in \`jetstream { limits { batch { … } } }\` ` +
      "of the server, or save less at once",
    { cause },
  );
}

/** Bytes that one message has to take at least, so that there is room for an event in it. */
export const LEAST_MESSAGE: number = HEADER_ROOM + 256;

/** Why messages of `maxBytes` leave no room for an event; `undefined` if they do. */
export function roomProblem(name: string, maxBytes: number): string | undefined {
  return maxBytes >= LEAST_MESSAGE ? undefined : `${name} is ${maxBytes} bytes and must be at ` +
    `least ${LEAST_MESSAGE}: ${HEADER_ROOM} are kept for headers`;
}

/** The limits of a server and its stream that leave no room for an event; one sentence each. */
export function roomProblems(
  maxPayload: number | undefined,
  { max_msg_size: maxMessage = -1 }: { readonly max_msg_size?: number },
): string[] {
  return [
    roomProblem("max_payload of the server", maxPayload ?? MAX_BYTES),
    roomProblem("max_msg_size", maxMessage > 0 ? maxMessage : MAX_BYTES),
  ].filter((problem) => problem !== undefined);
}

/** Checks and copies one event that will be sent as JSON; see {@linkcode prepareEvents}. */
export function prepareEvent(event: Event, maxBytes: number): PreparedEvent {
  const json: Encoding = { maxBytes, codec: undefined, upcasters: {} };
  return checkEvent(event, json) as PreparedEvent;
}

/**
 * Refuses a receipt that no message can hold.
 *
 * @throws {EventTooLargeError} It is too large.
 */
export function checkReceipt(
  actorId: string,
  version: number,
  body: Uint8Array,
  maxBytes: number,
): void {
  const limit = maxBytes - HEADER_ROOM;
  if (body.length > limit) throw new EventTooLargeError(actorId, version, body.length, limit);
}

/** Bytes of the shortest value in JSON, including the comma after it. */
const LEAST_BYTES = 2;

function checkEvent(event: Event, encoding: Encoding): CheckedEvent {
  try {
    return checkFields(event, encoding);
  } catch (cause) {
    if (isAetherError(cause) || isRuleFault(cause)) throw cause;
    throw new InvalidEventError(`it cannot be read: ${reasonOf(cause)}`, { cause });
  }
}

/** Passes on whatever a getter or a proxy's trap throws. */
function checkFields(event: Event, encoding: Encoding): CheckedEvent {
  if (typeof event !== "object" || event === null) {
    throw new InvalidEventError(`it is ${describe(event)}, not an event`);
  }
  const { id, eventType, actorId, version, data: given, timestamp, metadata } = event;
  checkToken("id", id);
  checkToken("eventType", eventType);
  checkToken("actorId", actorId);
  const impossible = versionProblem(version);
  if (impossible !== undefined) throw new InvalidEventError(impossible);
  const form = encoding.rules?.toStore({ actorId, eventType, data: given });
  const data = form === undefined ? given : form.data;
  // A lenient codec lifts the rules on the content of data, but data must not be undefined.
  const limit = encoding.maxBytes - HEADER_ROOM;
  const problem = timestampProblem(timestamp) ??
    (encoding.codec?.lenient !== true || data === undefined
      ? jsonProblem(data, "data", limit / LEAST_BYTES)
      : undefined);
  if (problem === TOO_MANY) throw new EventTooLargeError(actorId, version, limit + 1, limit);
  if (problem !== undefined) throw new InvalidEventError(problem);
  const facts = { id, eventType, actorId, version };
  const rest = {
    timestamp: Date.prototype.toISOString.call(timestamp),
    metadata: copyMetadata(metadata),
  };
  const schema = form?.schema ?? schemaOf(encoding.upcasters, eventType);
  // In the order of the body: JSON writes the properties as they come.
  const body = encodeEvent({ ...facts, data, ...rest }, encoding);
  return { ...facts, ...rest, schema, isJson: encoding.codec === undefined, body };
}

function checkToken(name: string, value: unknown): void {
  const problem = tokenProblem(value);
  if (problem !== undefined) throw new InvalidEventError(`${name} ${describe(value)} ${problem}`);
}

/** Why `version` cannot be an event's; `undefined` if it can. */
export function versionProblem(version: unknown): string | undefined {
  if (Number.isSafeInteger(version) && (version as number) >= 1) return undefined;
  const given = typeof version === "number" ? version : describe(version);
  return `version ${given} is not a safe integer of 1 or more`;
}

function copyMetadata(metadata: EventMetadata | undefined): EventMetadata | undefined {
  if (metadata === undefined) return undefined;
  const problem = jsonProblem(metadata, "metadata");
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
