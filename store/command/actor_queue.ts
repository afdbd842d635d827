import { type ActorState, advance } from "./actor_state.ts";
import type { SavePace } from "./save_pace.ts";
import type { PendingCommand } from "./pending_command.ts";
import { type CommandPlan, plan, type PlannedCommand } from "./plan.ts";
import { load, takeSnapshot } from "./rehydrate.ts";
import type { StateCache } from "./state_cache.ts";
import { UnknownSaves } from "./unknown_saves.ts";
import { isAetherError, type VersionConflictError } from "../errors.ts";
import type { SavePart } from "../format/runs.ts";
import type { InnerSaveOptions } from "../format/save_options.ts";
import type { EventStore } from "../store.ts";

/** The most commands that are saved together. */
const MAX_GROUP = 250;
/** First wait after a conflict, in ms, and the longest; a random part is waited, and over again. */
const CONFLICT_WAITS = [2, 64] as const;
/** The same after a try without an answer. */
const UNKNOWN_WAITS = [8, 256] as const;
/**
 * A process that saves without a read is quicker than any that has to read first, and would keep
 * other writers out for as long as it goes on. So it rests after `alone` ms, and already after
 * `contended` ms if it noticed another writer in the last second.
 */
const BUSY = { alone: 32, contended: 16 } as const;
/** Commands no further apart than this, in ms, count as one right after the other. */
const CONTINUOUS = 2;

/**
 * Runs the commands of this process on one actor, one after the other. When many wait, it decides
 * them in turn and saves them together, all or none; when a save is refused, it decides all of
 * them again. It returns a refusal or a result without events only once the state behind it is
 * known to be current: by the save of other commands in the group, else by a read.
 */
export class ActorQueue {
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

  /** Appends a command. */
  push(job: PendingCommand): void {
    this.#queue.push(job);
  }

  /** Runs commands until none is left; calls `onEmpty` before another can be appended. */
  async drain(onEmpty: () => void): Promise<void> {
    // Gives the caller a turn to append more commands, so that they run together.
    await Promise.resolve();
    while (this.#next().length > 0) await this.#turn();
    onEmpty();
  }

  /** Completes the first command, or the first ones together. */
  async #turn(): Promise<void> {
    const contention = new ContentionWait(...CONFLICT_WAITS);
    let base: ActorState | undefined;
    let isPresent = false;
    let busySince = performance.now();
    let contendedAt = -Infinity;
    for (;;) {
      const jobs = this.#next();
      const [first] = jobs;
      if (first === undefined) return;
      if (base?.evolution !== first.decider) {
        const kept = first.options.cache === false
          ? undefined
          : this.#states.get(this.#actorId, first.decider);
        base = kept?.actor;
        isPresent = base === undefined;
        if (kept !== undefined) {
          contendedAt = kept.contendedAt;
          if (performance.now() - kept.usedAt < CONTINUOUS) busySince = kept.busySince;
          const isShared = performance.now() - contendedAt < 1000;
          if (performance.now() - busySince > (isShared ? BUSY.contended : BUSY.alone)) {
            await rest(this.#pace.rest, jobs);
            busySince = performance.now();
            continue;
          }
        }
      }
      let planned: CommandPlan | undefined;
      let isSaving = false;
      try {
        base ??= await unlessLate(
          load(this.#store, this.#actorId, first.decider, first.options.snapshots),
          jobs,
        );
        if (base === undefined) continue;
        planned = await plan(this.#actorId, base, jobs);
        if (planned.events.length === 0 && planned.commands.length > 0) {
          if (!isPresent) {
            const reading = advance(this.#store, this.#actorId, base);
            const present: ActorState | undefined = await unlessLate(reading, jobs);
            if (present === undefined) {
              base = this.#forget();
              continue;
            }
            isPresent = true;
            if (present.version !== base.version) {
              base = present;
              continue;
            }
          }
          return this.#complete(planned, busySince, contendedAt);
        }
        if (planned.events.length === 0) continue;
        isSaving = true;
        const conflict = await this.#save(planned);
        isSaving = false;
        if (conflict === undefined) return this.#complete(planned, busySince, contendedAt);
        contendedAt = performance.now();
        isPresent = true;
        for (const { job } of planned.commands) {
          job.conflict = conflict;
          job.notSaved();
        }
        await contention.wait(jobs);
        busySince = performance.now();
        if (planned.isInPlace || planned.isShared || jobs.every((job) => job.isSettled)) {
          base = this.#forget();
        } else {
          const reading = advance(this.#store, this.#actorId, base);
          base = await unlessLate(reading, jobs) ?? this.#forget();
        }
      } catch (error) {
        base = this.#forget();
        const failed = planned?.commands.map(({ job }) => job) ?? jobs;
        if (isSaving && failed.length > 1 && !isAetherError(error, "StoreUnavailableError")) {
          // One of them cannot be saved: saving each by itself shows which.
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

  /** Saves the plan; returns the conflict if one has certainly prevented it. */
  async #save({ base, commands, events, originals }: CommandPlan): Promise<
    VersionConflictError | undefined
  > {
    const options: InnerSaveOptions = {
      expect: [{ actorId: this.#actorId, version: base.version }],
      // Each command's events are a commit of their own, in one message with the others'.
      parts: partsOf(commands),
    };
    const contention = new ContentionWait(...UNKNOWN_WAITS);
    const doubt = new UnknownSaves();
    for (const { job } of commands) job.saving();
    for (;;) {
      try {
        const saved = doubt.exists ? events : originals;
        await this.#pace.run(() => this.#store.saveEvents(saved, options));
        doubt.end("saved");
        return undefined;
      } catch (error) {
        if (isAetherError(error, "VersionConflictError")) {
          doubt.end("not-saved");
          return error;
        }
        if (isAetherError(error, "SaveOutcomeUnknownError")) doubt.add(error);
        else if (!doubt.exists) throw error;
        // Nothing else may be decided until the outcome of this save is known.
        const waiting = commands.filter((command) => isWaiting(command, doubt, error));
        if (waiting.length === 0) throw error;
        await contention.wait(waiting.map(({ job }) => job));
      }
    }
  }

  #complete(
    { base, end, commands, isSpoiled, isShared }: CommandPlan,
    busySince: number,
    contendedAt: number,
  ): void {
    const taker = commands.findLast(({ job: { options } }) => options.snapshots !== undefined);
    const snapshots = taker?.job.options.snapshots;
    const taken = snapshots && takeSnapshot(this.#actorId, base.version, end, snapshots);
    if (!isSpoiled && !isShared && commands.every(({ job }) => job.options.cache !== false)) {
      const usedAt = performance.now();
      this.#states.set(this.#actorId, { actor: end, busySince, usedAt, contendedAt });
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

  /** The commands to try next: the first one, or several if many wait. */
  #next(): readonly PendingCommand[] {
    while (this.#queue[0]?.isSettled) this.#queue.shift();
    const group: PendingCommand[] = [];
    for (const job of this.#queue) {
      if (job.isSettled) continue;
      if (group.length === MAX_GROUP || (group.length > 0 && !fits(job, group[0]!))) break;
      group.push(job);
    }
    return group;
  }
}

/** The events of each command that led to some. */
function partsOf(commands: readonly PlannedCommand[]): SavePart[] {
  return commands.flatMap(({ outcome }) =>
    "result" in outcome && outcome.result.events.length > 0
      ? [{ events: outcome.result.events.length }]
      : []
  );
}

/** Whether two commands may be saved together. */
function fits(job: PendingCommand, first: PendingCommand): boolean {
  return job.decider === first.decider && !job.isAlone && !first.isAlone;
}

/** Whether the caller still waits; if not, its call rejects with the unknown outcome. */
function isWaiting(command: PlannedCommand, doubt: UnknownSaves, error: unknown): boolean {
  const { job } = command;
  const reason = job.giveUpReason();
  if (reason === undefined) return true;
  job.reject(doubt.errorFor(command, job.options.signal?.aborted ? reason.cause : error));
  return false;
}

/**
 * Waits that grow and then start over: some tries have to be close to each other to get between
 * the saves of another writer. That, and a part from 0 on, is why these are not `jitteredWaits`.
 */
class ContentionWait {
  #span: number;
  readonly #shortest: number;
  readonly #longest: number;

  constructor(shortest: number, longest: number) {
    this.#span = shortest;
    this.#shortest = shortest;
    this.#longest = longest;
  }

  /** Waits for a random part of the span, or until all `jobs` have ended. */
  async wait(jobs: readonly PendingCommand[]): Promise<void> {
    const span = this.#span;
    this.#span = span < this.#longest ? span * 2 : this.#shortest;
    await rest(Math.random() * span, jobs);
  }
}

/** The result of a read, unless nobody waits for it any more: a codec or a store may never answer. */
async function unlessLate<T>(
  read: Promise<T>,
  jobs: readonly PendingCommand[],
): Promise<T | undefined> {
  read.catch(() => {});
  const late = Promise.allSettled(jobs.map((job) => job.promise)).then(() => undefined);
  return await Promise.race([read, late]);
}

/** Waits for `duration` ms, or until all `jobs` have ended. */
async function rest(duration: number, jobs: readonly PendingCommand[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, duration);
  Promise.allSettled(jobs.map((job) => job.promise)).then(() => resolve());
  await promise;
  clearTimeout(timer);
}
