import { decodeUtf8 } from "../base/utf8.ts";
import { encodeToken } from "../base/token.ts";
import { InvalidEventError } from "../errors.ts";
import type { PreparedEvent } from "../format/encode.ts";

/** A stored event, as far as a save that comes again is compared with it. */
export interface StoredContent {
  readonly eventType: string;
  readonly schema: number;
  /** Its body; asked for only if it can be compared. */
  readonly text: () => string;
}

/**
 * How `event` differs from the one that is stored at its version under its id; `undefined` if it
 * is a repetition. Compared are the type, and the data unless a codec has written either or an
 * upcaster may have changed it: a codec may write the same data in other bytes each time.
 * Timestamp and metadata are not compared, because a caller that tries again makes them again.
 */
export function differenceOf(event: PreparedEvent, stored: StoredContent): string | undefined {
  if (event.eventType !== stored.eventType) {
    return `its id is that of the event stored there, whose type is "${stored.eventType}"`;
  }
  if (!event.isJson || event.schema !== stored.schema) return undefined;
  const data = dataIn(stored.text());
  return data === undefined || isSameJson(dataIn(decodeUtf8(event.body)), data)
    ? undefined
    : "its id is that of the event stored there, whose data differs";
}

/** How many of the events of an actor's last message are known by id. */
export const KNOWN_IDS = 16;

/** The ids of the last events of a message, as {@linkcode isAmong} takes them; `tokens` are encoded. */
export function lastIds(tokens: readonly string[]): string {
  return tokens.length === 1 ? tokens[0]! : tokens.slice(-KNOWN_IDS).join(" ");
}

/** The same for events that are about to be its. */
export function idsOf(events: readonly PreparedEvent[]): string | undefined {
  if (events.length === 0) return undefined;
  return lastIds(events.slice(-KNOWN_IDS).map(({ id }) => encodeToken(id)));
}

/** Whether `id` is one of `ids`; false if these are not known. */
export function isAmong(ids: string | undefined, id: string): boolean {
  if (ids === undefined) return false;
  const token = encodeToken(id);
  return ids === token || (ids.length > token.length && ids.split(" ").includes(token));
}

/**
 * The error of an event whose id the actor's last message has at another version: retrying cannot
 * help, as the event is stored.
 */
export function comesAgain({ id, actorId, version }: PreparedEvent): InvalidEventError {
  return new InvalidEventError(
    `id "${id}" of version ${version} is that of an event that is stored already, at another ` +
      `version of "${actorId}"; each event needs an id of its own`,
  );
}

/** The data in the JSON of an event; `undefined` if it is none. */
function dataIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { data?: unknown } | null)?.data;
  } catch {
    return undefined;
  }
}

/** Whether two values of JSON are equal, whatever the order of their keys. */
function isSameJson(one: unknown, other: unknown): boolean {
  const pairs: [unknown, unknown][] = [[one, other]];
  for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
    const [left, right] = pair;
    if (left === right) continue;
    if (!isContainer(left) || !isContainer(right)) return false;
    if (Array.isArray(left) !== Array.isArray(right)) return false;
    const keys = Object.keys(left);
    if (keys.length !== Object.keys(right).length) return false;
    for (const key of keys) {
      if (!Object.hasOwn(right, key)) return false;
      pairs.push([left[key], right[key]]);
    }
  }
  return true;
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
