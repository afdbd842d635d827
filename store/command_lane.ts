import { type ActorState, advance } from "./actor_state.ts";
import { type CommandPlan, plan, type PlannedCommand } from "./command_plan.ts";
import { isAetherError, type VersionConflictError } from "./errors.ts";
import type { PendingCommand } from "./pending_command.ts";
import { load, takeSnapshot } from "./rehydrate.ts";
import { SaveDoubt } from "./save_doubt.ts";
import type { SavePace } from "./save_pace.ts";
import type { StateCache } from "./state_cache.ts";
import type { EventStore } from "./store.ts";

/** Commands at most that are saved together. */
const MAX_GROUP = 250;
/** First wait after a conflict, in ms, and the longest; a random part of it is waited. */
const CONFLICT_PAUSE = [2, 64] as const;
/** The same after a try without an answer. */
const DOUBT_PAUSE = [8, 250] as const;

/**
 * The commands of this process on one actor, one after the other. Where many wait they are
 * decided in turn and saved together, all or none; where a save is refused, all are decided
 * again. A refusal or a result without events is given out only when the state that it rests on
 * is known to be the present one: by the save of others in the group, else by a read.
 */
export class CommandLane {
  readonly #store: EventStore;
  readonly #actorId: string;
  readonly #states: StateCache;
  readonly #pace: SavePace;
  readonly #queue: PendingCommand[] = [];

  /** Begins empty; states of actors are kept in `states`. */
  constructor(store: EventStore, actorId: string, states: StateCache, pace: SavePace) {
    this.#store = store;
    this.#actorId = actorId;
    this.#states = states;
    this.#pace = pace;
  }

  /** Lines up. */
  push(job: PendingCommand): void {
    this.#queue.push(job);
  }

  /** Runs commands until none is left, and says so before another can line up. */
  async drain(onEmpty: () => void): Promise<void> {
    // Commands that were given in one go come together.
    await Promise.resolve();
    while (this.#next(false).length > 0) await this.#turn();
    onEmpty();
  }

  /** Brings the first command to its end, or the first ones together. */
  async #turn(): Promise<void> {
    const pause = new Pause(...CONFLICT_PAUSE);
    let base: ActorState | undefined;
    let isPresent = false;
    let isContended = false;
    for (;;) {
      const jobs = this.#next(isContended);
      const [first] = jobs;
      if (first === undefined) return;
      if (base?.evolution !== first.decider) {
        base = first.options.cache === false
          ? undefined
          : this.#states.get(this.#actorId, first.decider);
        isPresent = base === undefined;
      }
      let planned: CommandPlan | undefined;
      let isSaving = false;
      try {
        base ??= await load(this.#store, this.#actorId, first.decider, first.options.snapshots);
        planned = await plan(this.#actorId, base, jobs);
        if (planned.events.length === 0 && planned.commands.length > 0) {
          if (!isPresent) {
            const present: ActorState = await advance(this.#store, this.#actorId, base);
            isPresent = true;
            if (present.version !== base.version) {
              base = present;
              continue;
            }
          }
          return this.#complete(planned);
        }
        if (planned.events.length === 0) continue;
        isSaving = true;
        const conflict = await this.#save(planned);
        isSaving = false;
        if (conflict === undefined) return this.#complete(planned);
        isContended = true;
        isPresent = true;
        for (const { job } of planned.commands) {
          job.conflict = conflict;
          job.notSaved();
        }
        await pause.wait(jobs);
        if (planned.isInPlace || jobs.every((job) => job.isSettled)) base = this.#forget();
        else base = await advance(this.#store, this.#actorId, base);
      } catch (error) {
        base = this.#forget();
        const failed = planned?.commands.map(({ job }) => job) ?? jobs;
        if (isSaving && failed.length > 1 && !isAetherError(error, "StoreUnavailableError")) {
          // One of them cannot be saved: which, shows when each is saved by itself.
          for (const job of failed) {
            job.isAlone = true;
            job.notSaved();
          }
          continue;
        }
        for (const job of failed) job.reject(error);
        return;
      }
    }
  }

  /** Saves the plan; gives the conflict that has certainly prevented it, if one has. */
  async #save({ base, commands, events, originals }: CommandPlan): Promise<
    VersionConflictError | undefined
  > {
    const expect = [{ actorId: this.#actorId, version: base.version }];
    const pause = new Pause(...DOUBT_PAUSE);
    const doubt = new SaveDoubt();
    const began = performance.now();
    for (const { job } of commands) job.saving();
    for (;;) {
      try {
        await this.#store.saveEvents(doubt.exists ? events : originals, { expect });
        doubt.end("saved");
        this.#pace.learn(commands.length, performance.now() - began);
        return undefined;
      } catch (error) {
        if (isAetherError(error, "VersionConflictError")) {
          doubt.end("never");
          return error;
        }
        if (isAetherError(error, "SaveOutcomeUnknownError")) doubt.add(error);
        else if (!doubt.exists) throw error;
        // Until it is known what became of these events, nothing else may be decided.
        const waiting = commands.filter((command) => isWaiting(command, doubt, error));
        if (waiting.length === 0) throw error;
        await pause.wait(waiting.map(({ job }) => job));
      }
    }
  }

  #complete({ base, end, commands, isSpoiled }: CommandPlan): void {
    const taker = commands.findLast(({ job: { options } }) => options.snapshots !== undefined);
    const snapshots = taker?.job.options.snapshots;
    const taken = snapshots && takeSnapshot(this.#actorId, base.version, end, snapshots);
    if (!isSpoiled && commands.every(({ job }) => job.options.cache !== false)) {
      this.#states.set(this.#actorId, end);
    } else {
      this.#forget();
    }
    for (const command of commands) {
      const { job, outcome } = command;
      if ("error" in outcome) job.reject(outcome.error);
      else job.resolve(outcome.result, command === taker ? taken : undefined);
    }
  }

  #forget(): undefined {
    this.#states.delete(this.#actorId);
  }

  /** The commands to try next: the first one, or the first ones where many wait or `eager`. */
  #next(eager: boolean): readonly PendingCommand[] {
    while (this.#queue[0]?.isSettled) this.#queue.shift();
    const group: PendingCommand[] = [];
    for (const job of this.#queue) {
      if (job.isSettled) continue;
      if (group.length === MAX_GROUP || (group.length > 0 && !fits(job, group[0]!))) break;
      group.push(job);
    }
    return eager || this.#pace.favoursGroup(group.length) ? group : group.slice(0, 1);
  }
}

/** Whether two commands may be saved together. */
function fits(job: PendingCommand, first: PendingCommand): boolean {
  return job.decider === first.decider && !job.isAlone && !first.isAlone;
}

/** Whether the caller still waits; if not, it is told of the doubt. */
function isWaiting(command: PlannedCommand, doubt: SaveDoubt, error: unknown): boolean {
  const { job } = command;
  const reason = job.giveUpReason();
  if (reason === undefined) return true;
  job.reject(doubt.errorFor(command, job.options.signal?.aborted ? reason.cause : error));
  return false;
}

/** Waits that grow. */
class Pause {
  #span: number;
  readonly #longest: number;

  constructor(shortest: number, longest: number) {
    this.#span = shortest;
    this.#longest = longest;
  }

  /** Waits for a random part of the span, or until nobody waits for any of `jobs`. */
  async wait(jobs: readonly PendingCommand[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.random() * this.#span);
    this.#span = Math.min(this.#span * 2, this.#longest);
    Promise.allSettled(jobs.map((job) => job.promise)).then(() => resolve());
    await promise;
    clearTimeout(timer);
  }
}
