import type { OverflowPolicy, SubscribeOptions } from "./bus.ts";
import { type ActorFilter, parseActorPattern, parsePattern, type PatternToken } from "./pattern.ts";
import { describe, encodeToken, tokenProblem } from "../store/base/token.ts";

/** A subscriber's request, checked. */
export interface Request {
  /** The pattern as it was given. */
  readonly pattern: string;
  /** Its tokens. */
  readonly namespace: readonly PatternToken[];
  /** The wanted types, each once; `undefined` for all. */
  readonly eventTypes: readonly string[] | undefined;
  /** The wanted actors. */
  readonly actor: ActorFilter;
  /** The group that shares the events, as one token without white space. */
  readonly group: string | undefined;
  /** How many events may wait. */
  readonly capacity: number;
  /** The fate of one event more. */
  readonly overflow: OverflowPolicy;
}

/** Checks a subscriber's request; throws as {@linkcode EventBus.subscribe} does. */
export function parseRequest(pattern: string, options: SubscribeOptions): Request {
  const { eventTypes, actorPattern, exact = false, queue } = options;
  const { capacity = 65_536, overflow = "drop-oldest" } = options;
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    throw new RangeError(`Cannot use capacity ${capacity}: a safe integer of 1 or more is needed`);
  }
  if (!["drop-oldest", "drop-newest", "error"].includes(overflow)) {
    throw new RangeError(
      `Cannot use overflow ${describe(overflow)}: there are "drop-oldest", "drop-newest", "error"`,
    );
  }
  const actor = parseActorPattern(actorPattern, exact);
  return {
    pattern,
    namespace: parsePattern(pattern, exact),
    eventTypes: eventTypes === undefined ? undefined : checkTypes(eventTypes),
    actor,
    group: queue === undefined ? undefined : groupName(queue, actor.matches && actorPattern),
    capacity,
    overflow,
  };
}

function checkTypes(eventTypes: readonly string[]): string[] {
  if (!Array.isArray(eventTypes)) {
    throw new TypeError("Cannot use eventTypes: an array of strings is needed");
  }
  if (eventTypes.length === 0) {
    throw new RangeError("Cannot use eventTypes: there are none, leave it out for all types");
  }
  for (const eventType of eventTypes) checkName("event type", eventType);
  return [...new Set(eventTypes)];
}

/**
 * Members that want different actors form separate groups, so that no member gets an event that it
 * does not want.
 */
function groupName(queue: string, actorPattern: string | undefined): string {
  checkName("queue", queue);
  const name = encodeToken(queue);
  return actorPattern === undefined ? name : `${name}.${encodeToken(actorPattern)}`;
}

function checkName(what: string, value: unknown): void {
  const problem = tokenProblem(value);
  if (problem === undefined) return;
  const Slip = typeof value === "string" ? RangeError : TypeError;
  throw new Slip(`Cannot use ${what} ${describe(value)}: it ${problem}`);
}
