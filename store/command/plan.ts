import { textOf } from "../base/text.ts";
import { freshCopy, handOut } from "../base/fresh.ts";
import { isThenable, refusePromise } from "../base/hook.ts";
import type { EventDraft } from "../append.ts";
import type { ActorState } from "./actor_state.ts";
import { inTraceOf } from "./command_trace.ts";
import type { Decision } from "./decider.ts";
import type { AnyDecider, ExecuteResult, PendingCommand } from "./pending_command.ts";
import { isRefusal } from "./recorded_outcome.ts";
import { VersionConflictError } from "../errors.ts";
import { createEvent, type Event, type EventMetadata } from "../event.ts";
import type { EventRules } from "../event_rules.ts";
import { MAX_RUN } from "../format/position.ts";

/** How long commands are gathered for one save, in ms: the first one does not wait longer. */
const GATHER = 5;

/** The outcome of one command, if the plan is saved. */
export interface PlannedCommand {
  readonly job: PendingCommand;
  /** Its refusal or its result. */
  readonly outcome: { readonly error: unknown } | { readonly result: PlannedResult };
}

/** A result, as far as it is known before anything is saved. */
export type PlannedResult = Pick<ExecuteResult<unknown>, "state" | "version" | "events">;

/** The effect of some commands, one after the other, on an actor; nothing of it is saved yet. */
export interface CommandPlan {
  readonly base: ActorState;
  /** The actor afterwards. */
  readonly end: ActorState;
  readonly commands: readonly PlannedCommand[];
  /** The events to save, all of them or none. */
  readonly events: readonly Event[];
  /** The same with the very data that `decide` returned, which the store has to check. */
  readonly originals: readonly Event[];
  /** Whether `evolve` returned the state that it was given, and so may have changed `base`. */
  readonly isInPlace: boolean;
  /** Whether a state was given away that cannot be copied, and so may be changed by others. */
  readonly isShared: boolean;
  /** Whether `evolve` threw, and may have left the state of `end` half changed. */
  readonly isSpoiled: boolean;
  /** Whether its one command led to no event, and its outcome is to be recorded. */
  readonly records: boolean;
}

/**
 * Lets the deciders of `jobs` decide, each on the state that the one before leaves behind. Ends
 * early if they take long, or if more events come together than fit in one save.
 */
export async function plan(
  actorId: string,
  base: ActorState,
  jobs: readonly PendingCommand[],
  rules?: EventRules,
): Promise<CommandPlan> {
  const until = performance.now() + GATHER;
  const commands: PlannedCommand[] = [];
  const events: Event[] = [];
  const originals: Event[] = [];
  const ids = new Set<string>();
  let end = base;
  let isInPlace = false;
  let isSpoiled = false;
  let records = false;
  let isShared = false;
  let hasThrown = false;
  for (const job of jobs) {
    if (isSpoiled || records) break;
    // Whoever threw may have left a state half changed that the next one would get too.
    if (isShared && hasThrown) break;
    if (job.isSettled) continue;
    const { commandId, expectedVersion, record, recordRefusals = true } = job.options;
    let isEvolving = false;
    let isDecided = false;
    if (commands.length > 0 && performance.now() > until) break;
    // The same command again gets the outcome of the first one, once that is saved.
    if (commandId !== undefined && ids.has(commandId)) break;
    let outcome: PlannedCommand["outcome"];
    try {
      checkVersion(actorId, expectedVersion, end.version);
      const given = handOut(end.state);
      // Before it decides: it may change the state, and throw.
      isShared ||= !given.isSafe;
      let decision = inTraceOf(
        [job.trace],
        () => job.decider.decide(freshCopy(job.command), given.value),
      );
      isDecided = true;
      if (isPromise(decision)) {
        isDecided = false;
        // Nobody waits for a decision that does not come in time.
        decision = await Promise.race([decision, never(job)]);
        isDecided = true;
      }
      const drafts = draftsOf(decision, actorId, rules);
      if (job.isSettled) continue;
      if (events.length > 0 && events.length + drafts.length > MAX_RUN) break;
      isEvolving = true;
      const evolved = evolveBy(actorId, end, job.decider, drafts, job.metadata, isShared);
      outcome = { result: evolved.result };
      isInPlace ||= evolved.isInPlace;
      isShared ||= evolved.isShared;
      end = evolved.end;
      // One by one: a call takes no more arguments than fit on the stack.
      for (const event of evolved.result.events) events.push(event);
      for (const original of evolved.originals) originals.push(original);
    } catch (error) {
      isSpoiled = isEvolving;
      if (job.isSettled) continue;
      outcome = { error };
      hasThrown = true;
    }
    // A result that is no decision is a fault of the rules, which their next version may mend.
    const isRefused = "error" in outcome && !isDecided && isRefusal(outcome.error);
    const isFinal = record === true && (recordRefusals && isRefused || !("error" in outcome));
    if (isFinal && !isSpoiled && isEmpty(outcome)) {
      // Its receipt is a message of its own, behind the events of those before it.
      if (commands.length > 0) break;
      records = true;
    }
    if (commandId !== undefined) ids.add(commandId);
    commands.push({ job, outcome });
  }
  return { base, end, commands, events, originals, isInPlace, isShared, isSpoiled, records };
}

/** The outcome of one decision for an actor. */
interface Evolved {
  readonly result: PlannedResult;
  /** The events with the very data that `decide` returned. */
  readonly originals: readonly Event[];
  readonly end: ActorState;
  /** Whether `evolve` returned the state that it was given. */
  readonly isInPlace: boolean;
  /** Whether a state was given away that cannot be copied. */
  readonly isShared: boolean;
}

/** Lets a decider decide on one state; throws what it throws. */
export async function decideOn(
  actorId: string,
  { state }: ActorState,
  decider: AnyDecider,
  command: unknown,
  rules: EventRules | undefined,
): Promise<{ readonly drafts: readonly EventDraft[]; readonly isShared: boolean }> {
  // Copies: its changes must not reach another decision, or the caller.
  const { value, isSafe } = handOut(state);
  const decision = decider.decide(freshCopy(command), value);
  return { drafts: draftsOf(await decision, actorId, rules), isShared: !isSafe };
}

/** Lets `evolve` fold the decision in; throws what it throws, and may have changed `base` then. */
export function evolveBy(
  actorId: string,
  base: ActorState,
  decider: AnyDecider,
  drafts: readonly EventDraft[],
  metadata: EventMetadata | undefined,
  isShared: boolean,
): Evolved {
  const originals = drafts.map((draft, at) =>
    eventOf(draft, actorId, base.version + at + 1, metadata)
  );
  const events = originals.map(ownEvent);
  let { state, version, lastId } = base;
  let isInPlace = false;
  for (const event of events) {
    const next = decider.evolve(state, ownEvent(event));
    refusePromise(next, "evolve()");
    isInPlace ||= next === state && typeof next === "object" && next !== null;
    state = next;
    ({ version, id: lastId } = event);
  }
  const end = { ...base, state, version, lastId };
  const given = handOut(state);
  const result = { state: given.value, version, events };
  return { result, originals, end, isInPlace, isShared: isShared || !given.isSafe };
}

/** Whether the command led to no event. */
function isEmpty(outcome: PlannedCommand["outcome"]): boolean {
  return "error" in outcome || outcome.result.events.length === 0;
}

function checkVersion(actorId: string, expected: number | undefined, current: number): void {
  if (expected === undefined || expected === current) return;
  const reason = `version ${expected} was expected, and current version is ${current}`;
  throw new VersionConflictError(actorId, expected, current, reason);
}

function draftsOf(
  decision: Decision,
  actorId: string,
  rules: EventRules | undefined,
): readonly EventDraft[] {
  const drafts = (Array.isArray(decision) ? decision : [decision]) as readonly EventDraft[];
  for (const draft of drafts) {
    if (typeof draft !== "object" || draft === null) {
      throw new TypeError(
        `Cannot execute the command: decide() returned ${textOf(draft)}, not an event`,
      );
    }
  }
  if (rules === undefined) return drafts;
  // The state is made of what will be read, not of what was decided.
  return drafts.map((draft) => ({ ...draft, data: rules.asRead({ ...draft, actorId }) }));
}

function eventOf(
  { id, eventType, data, metadata }: EventDraft,
  actorId: string,
  version: number,
  shared: EventMetadata | undefined,
): Event {
  const both = shared === undefined && metadata === undefined
    ? {}
    : { metadata: { ...shared, ...metadata } };
  const event = createEvent({ eventType, actorId, version, data, ...both });
  return id === undefined ? event : { ...event, id };
}

/** The event as a replay would return it, which shares nothing with the caller or the rules. */
function ownEvent(event: Event): Event {
  const { timestamp, metadata, data } = event;
  const own = metadata === undefined ? {} : { metadata: { ...metadata } };
  return { ...event, data: freshCopy(data), timestamp: new Date(timestamp), ...own };
}

/** Rejects when the command's time is over; never resolves. */
function never(job: PendingCommand): Promise<never> {
  return job.promise as Promise<never>;
}

/** Whether a decision is still to come. */
export function isPromise(value: Decision | Promise<Decision>): value is Promise<Decision> {
  return isThenable(value);
}
