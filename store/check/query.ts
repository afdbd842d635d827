import { asGiven, needMethods, needObject, needSignal } from "../base/given.ts";
import { categoryOf } from "../actor.ts";
import { isRecord } from "../base/json.ts";
import { describe, tokenProblem } from "../base/token.ts";
import type { Position } from "../format/position.ts";
import type { EventFilter, ReadAllOptions, ReadOptions } from "../options.ts";

/** The wanted part of an actor's history. */
export interface Range {
  readonly from: number;
  readonly to: number;
  /** The most events wanted, so that a read fetches no more than it needs. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Refuses what is no store.
 *
 * @throws {TypeError} It is something else.
 */
export function needStore(store: unknown, what: string, name = "store"): void {
  const methods = ["saveEvents", "getEvents", "readAll", "subscribe"];
  needMethods(store, methods, what, name, "an EventStore");
}

/**
 * Refuses an option that is not an integer from `least` to `most`.
 *
 * @throws {RangeError} It is out of its range.
 */
export function checkRange(
  name: string,
  value: number,
  least: number,
  most: number,
  what = "the store",
): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(`Cannot open ${what}: ${name} is ${value}, not from ${least} to ${most}`);
  }
}

/**
 * Refuses an actor id that no store can keep, when it is an argument rather than an event's.
 *
 * @throws {RangeError} The id is empty, too long, or not well-formed.
 */
export function checkActorId(actorId: string): void {
  const problem = tokenProblem(actorId);
  if (problem !== undefined) {
    throw new RangeError(`Cannot look up actor ${describe(actorId)}: its id ${problem}`);
  }
}

/**
 * The actors of a call that takes many, each once.
 *
 * @throws {TypeError} It is no array.
 * @throws {RangeError} An id is one that no store can keep.
 */
export function prepareActors(actorIds: readonly string[]): string[] {
  if (!Array.isArray(actorIds)) throw new TypeError("Cannot look up actors: an array is needed");
  const distinct = [...new Set(actorIds)];
  for (const actorId of distinct) checkActorId(actorId);
  return distinct;
}

/** Refuses a number that cannot be a version, sequence or limit. */
export function checkNumber(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Cannot read: ${name} is ${value}, not a safe integer of 0 or more`);
  }
}

/** Checks the arguments of `readEvents()` and fills in the defaults. */
export function prepareRange(
  actorId: string,
  { fromVersion = 0, toVersion, direction = "forwards", limit, signal }: ReadOptions,
): Range & { readonly backwards: boolean } {
  checkActorId(actorId);
  needSignal(signal, "read");
  checkNumber("fromVersion", fromVersion);
  if (toVersion !== undefined) checkNumber("toVersion", toVersion);
  if (limit !== undefined) checkNumber("limit", limit);
  if (direction !== "forwards" && direction !== "backwards") {
    throw new RangeError(
      `Cannot read: direction is ${describe(direction)}, not "forwards" or "backwards"`,
    );
  }
  const most = Number.MAX_SAFE_INTEGER;
  const backwards = direction === "backwards";
  return { from: fromVersion, to: toVersion ?? most, limit: limit ?? most, signal, backwards };
}

/** Checks the options of `readAll()` and fills in the defaults. */
export function prepareReadAll(
  options: ReadAllOptions,
): { from: Position; filter: EventFilter; signal: AbortSignal | undefined } {
  needObject(options, "read", "options");
  const { from = "start", filter = {}, signal } = options;
  needObject(filter, "read", "filter");
  needSignal(signal, "read");
  if (from !== "start") checkNumber("from", from);
  if (filter.actorId !== undefined) checkActorId(filter.actorId);
  if (filter.category !== undefined) checkCategory(filter.category);
  if (filter.eventTypes !== undefined) checkTypes(filter.eventTypes);
  return { from: (from === "start" ? 1 : Math.max(1, from)) as Position, filter, signal };
}

/** A filter as it is at the call; see {@linkcode asGiven}. */
export function filterAsGiven(filter: EventFilter): EventFilter {
  const own = asGiven(filter);
  return own?.eventTypes ? { ...own, eventTypes: asGiven(own.eventTypes) } : own;
}

/** Options of a read or a subscription as they are at the call, with their filter. */
export function queryAsGiven<T extends { readonly filter?: EventFilter }>(options: T): T {
  const { filter } = options ?? {};
  return isRecord(filter)
    ? { ...asGiven(options), filter: filterAsGiven(filter) }
    : asGiven(options);
}

/** Refuses types that no event can have, as {@linkcode checkCategory} does categories. */
function checkTypes(types: readonly string[]): void {
  if (!Array.isArray(types)) {
    throw new TypeError(`Cannot read: eventTypes is ${describe(types)}, not an array`);
  }
  for (const type of types) {
    const problem = tokenProblem(type);
    if (problem === undefined) continue;
    throw new RangeError(`Cannot read events of type ${describe(type)}: it ${problem}`);
  }
}

/**
 * Refuses a category that no actor can have: with it, a read would find nothing, in silence.
 *
 * @throws {RangeError} It is empty, too long, not well-formed, or goes on behind a dash.
 */
export function checkCategory(category: string, what = "read category"): void {
  const problem = tokenProblem(category) ?? dashProblem(category);
  if (problem !== undefined) {
    throw new RangeError(`Cannot ${what} ${describe(category)}: it ${problem}`);
  }
}

function dashProblem(category: string): string | undefined {
  const possible = categoryOf(category);
  return possible === category ? undefined : "has a dash inside, and the category of an actor is " +
    `its id up to the first one: ${describe(possible)} is a category`;
}
