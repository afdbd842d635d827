import { textOf } from "../base/text.ts";
import { freshCopy, handOut } from "../base/fresh.ts";
import { isThenable, refusePromise } from "../base/hook.ts";
import type { EventDraft } from "../append.ts";
import type { ActorState } from "./actor_state.ts";
import type { Decision } from "./decider.ts";
import type { ExecuteResult, PendingCommand } from "./pending_command.ts";
import { createEvent, type Event, type EventMetadata } from "../event.ts";
import { MAX_RUN } from "../format/position.ts";

/** How long commands are gathered for one save, in ms: the first one does not wait longer. */
const GATHER = 5;

/** The outcome of one command, if the plan is saved. */
export interface PlannedCommand {
  readonly job: PendingCommand;
  /** Its refusal or its result. */
  readonly outcome: { readonly error: unknown } | { readonly result: ExecuteResult<unknown> };
}

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
}

/**
 * Lets the deciders of `jobs` decide, each on the state that the one before leaves behind. Ends
 * early if they take long, or if more events come together than fit in one save.
 */
export async function plan(
  actorId: string,
  base: ActorState,
  jobs: readonly PendingCommand[],
): Promise<CommandPlan> {
  const until = performance.now() + GATHER;
  const commands: PlannedCommand[] = [];
  const events: Event[] = [];
  const originals: Event[] = [];
  let end = base;
  let isInPlace = false;
  let isSpoiled = false;
  let isShared = false;
  for (const job of jobs) {
    if (isSpoiled) break;
    if (job.isSettled) continue;
    let isEvolving = false;
    if (commands.length > 0 && performance.now() > until) break;
    try {
      // Copies: what a decider does to them must not reach another decision, or the caller.
      const given = handOut(end.state);
      isShared ||= !given.isSafe;
      const decision = job.decider.decide(freshCopy(job.command), given.value);
      const drafts = draftsOf(
        // Nobody waits for a decision that does not come in time.
        isPromise(decision) ? await Promise.race([decision, never(job)]) : decision,
      );
      if (job.isSettled) continue;
      if (events.length > 0 && events.length + drafts.length > MAX_RUN) break;
      const made = drafts.map((draft, at) =>
        eventOf(draft, actorId, end.version + at + 1, job.options.metadata)
      );
      const copies = made.map(ownEvent);
      let { state, version, lastId } = end;
      isEvolving = true;
      for (const event of copies) {
        const next = job.decider.evolve(state, ownEvent(event));
        refusePromise(next, "evolve()");
        isInPlace ||= next === state && typeof next === "object" && next !== null;
        state = next;
        ({ version, id: lastId } = event);
      }
      end = { ...end, state, version, lastId };
      events.push(...copies);
      originals.push(...made);
      const result = { state: freshCopy(state), version, events: copies };
      commands.push({ job, outcome: { result } });
    } catch (error) {
      isSpoiled = isEvolving;
      if (!job.isSettled) commands.push({ job, outcome: { error } });
    }
  }
  return { base, end, commands, events, originals, isInPlace, isSpoiled, isShared };
}

function draftsOf(decision: Decision): readonly EventDraft[] {
  const drafts = Array.isArray(decision) ? decision as readonly EventDraft[] : [decision];
  for (const draft of drafts) {
    if (typeof draft !== "object" || draft === null) {
      throw new TypeError(
        `Cannot execute the command: decide() returned ${textOf(draft)}, not an event`,
      );
    }
  }
  return drafts as readonly EventDraft[];
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

function isPromise(value: Decision | Promise<Decision>): value is Promise<Decision> {
  return isThenable(value);
}
