import { type ActorState, advance } from "./actor_state.ts";
import type { QueueParts } from "./command_queues.ts";
import { inTraceOf } from "./command_trace.ts";
import { HandledBefore, type Met } from "./handled_before.ts";
import type { ExecuteResult, PendingCommand } from "./pending_command.ts";
import { ContentionWait, rest } from "./contention_wait.ts";
import { failureOf } from "./recorded_outcome.ts";
import { type ActorEnd, commandLogOf } from "../command_log.ts";
import { positionsIn } from "../format/save_options.ts";
import type { SaveReceipt } from "../options.ts";
import { type CommandPlan, plan, type PlannedCommand } from "./plan.ts";
import { load, takeSnapshot } from "./rehydrate.ts";
import type { KeptState } from "./state_cache.ts";
import { forgetEpoch } from "../forget_epoch.ts";
import { UnknownSaves } from "./unknown_saves.ts";
import { isAetherError, type VersionConflictError } from "../errors.ts";
import { eventRulesOf } from "../event_rules.ts";
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
  readonly #parts: QueueParts;
  readonly #queue: PendingCommand[] = [];
  #handled: HandledBefore | undefined;
  /** Where the outcomes of commands are stored. */
  readonly #positions = new WeakMap<PendingCommand, number>();

  /** Begins empty; works with what commands on one store share. */
  constructor(store: EventStore, actorId: string, parts: QueueParts) {
    this.#store = store;
    this.#actorId = actorId;
    this.#parts = parts;
  }

  /** Appends a command. */
  push(job: PendingCommand): void {
    this.#queue.push(job);
  }

  /** Runs commands until none is left; calls `onEmpty` before another can be appended. */
  async drain(onEmpty: () => void): Promise<void> {
    // Gives the caller a turn to append more commands, so that they run together.
    await Promise.resolve();
    const { turns } = this.#parts;
    for (let [first] = this.#next(); first !== undefined; [first] = this.#next()) {
      // It may have been another command's call that began to drain.
      const turn = () => turns.run([this.#actorId], () => this.#turn());
      await inTraceOf([first.trace], turn).catch((error) => {
        for (const job of this.#queue) job.reject(error); // No command waits for a turn that has failed.
      });
    }
    onEmpty();
  }

  /** Completes the first command, or the first ones together. */
  async #turn(): Promise<void> {
    const contention = new ContentionWait(...CONFLICT_WAITS);
    /** The state to go on from, as long as it is whole; it is this turn's own. */
    let base: ActorState | undefined;
    /** Where the actor ended when it was at `base`, if a command has an id. */
    let end: ActorEnd | undefined;
    /** Where `base` comes from, if it was remembered. */
    let kept: KeptState | undefined;
    let isPresent = false;
    /** Whether it was looked for commands of others since the last change that was noticed. */
    let isSearched = false;
    let busySince = performance.now();
    let contendedAt = -Infinity;
    const epoch = forgetEpoch();
    for (;;) {
      const jobs = this.#next();
      const [first] = jobs;
      if (first === undefined) {
        if (kept !== undefined && base !== undefined) {
          this.#parts.states.set(this.#actorId, { ...kept, actor: base }, epoch);
        }
        return;
      }
      if (base?.evolution !== first.decider) {
        kept = first.options.cache === false
          ? undefined
          : this.#parts.states.take(this.#actorId, first.decider);
        base = kept?.actor;
        isPresent = base === undefined;
        if (kept !== undefined) {
          contendedAt = kept.contendedAt;
          if (performance.now() - kept.usedAt < CONTINUOUS) busySince = kept.busySince;
          const isShared = performance.now() - contendedAt < 1000;
          if (performance.now() - busySince > (isShared ? BUSY.contended : BUSY.alone)) {
            await rest(this.#parts.pace.rest, jobs);
            busySince = performance.now();
            continue;
          }
        }
      }
      let planned: CommandPlan | undefined;
      let isSaving = false;
      try {
        const handled = this.#handledFor(jobs);
        base ??= await unlessLate(this.#load(first, jobs, handled), jobs);
        if (base === undefined) continue;
        if (handled !== undefined) {
          const met: Met | undefined = await unlessLate(handled.meet(jobs, base), jobs);
          if (met === undefined) {
            base = this.#forget();
            continue;
          }
          ({ base, end } = met);
          if (await repeat(handled, jobs, met)) continue;
        }
        planned = await plan(this.#actorId, base, jobs, eventRulesOf(this.#store));
        // No try begins at what `evolve` may have changed in place, or has left halfway.
        if (planned.isInPlace || planned.isShared || planned.isSpoiled) base = undefined;
        if (planned.records) {
          if (await this.#record(handled!, planned, jobs, end!)) {
            return this.#complete(planned, { busySince, contendedAt, epoch });
          }
          planned = undefined;
          continue;
        }
        if (planned.events.length === 0 && planned.commands.length > 0) {
          if (handled !== undefined && !isSearched) {
            isSearched = true;
            if (await handled.hasMoved(end)) continue;
          } else if (!isPresent && handled === undefined) {
            if (base === undefined) continue;
            const reading = advance(this.#store, this.#actorId, base);
            const present: ActorState | undefined = await unlessLate(reading, jobs);
            if (present === undefined) {
              base = this.#forget();
              continue;
            }
            isPresent = true;
            base = present;
            if (present.version !== planned.base.version) continue;
          }
          return this.#complete(planned, { busySince, contendedAt, epoch });
        }
        if (planned.events.length === 0) continue;
        isSaving = true;
        const conflict = await this.#save(planned, handled, end);
        isSaving = false;
        if (conflict === undefined) {
          return this.#complete(planned, { busySince, contendedAt, epoch });
        }
        isSearched = handled !== undefined;
        await handled?.hasMoved(end);
        contendedAt = performance.now();
        isPresent = true;
        for (const { job } of planned.commands) {
          job.conflict = conflict;
          job.notSaved();
        }
        await contention.wait(jobs);
        busySince = performance.now();
        if (base === undefined || jobs.every((job) => job.isSettled)) {
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

  #load(
    { decider, options: { snapshots } }: PendingCommand,
    jobs: readonly PendingCommand[],
    handled: HandledBefore | undefined,
  ): Promise<ActorState> {
    return handled === undefined
      ? load(this.#store, this.#actorId, decider, { snapshots })
      : handled.load(jobs, decider, { snapshots });
  }

  /** Saves the plan; returns the conflict if one has certainly prevented it. */
  async #save(
    plan: CommandPlan,
    handled: HandledBefore | undefined,
    end: ActorEnd | undefined,
  ): Promise<VersionConflictError | undefined> {
    const { base, commands, events, originals } = plan;
    const options: InnerSaveOptions = {
      expect: [{ actorId: this.#actorId, version: base.version }],
      // Each command's events are a commit of their own, in one message with the others'.
      parts: partsOf(commands),
      ...(handled !== undefined && { ends: new Map([[this.#actorId, end!]]) }),
    };
    const contention = new ContentionWait(...UNKNOWN_WAITS);
    const unknown = new UnknownSaves();
    const traces = commands.map(({ job }) => job.trace);
    for (const { job } of commands) job.saving();
    const outcome = await unknown.run(
      (isAgain) =>
        this.#parts.pace.run(() =>
          inTraceOf(traces, () => this.#store.saveEvents(isAgain ? events : originals, options))
        ),
      async (error) => {
        const waiting = commands.filter((command) => isWaiting(command, unknown, error));
        if (waiting.length === 0) throw error;
        await contention.wait(waiting.map(({ job }) => job));
      },
    );
    if ("conflict" in outcome) return outcome.conflict;
    this.#note(plan, outcome.receipt, handled);
    return undefined;
  }

  #complete(
    { base, end, commands, isSpoiled, isShared }: CommandPlan,
    { epoch, ...times }: Pick<KeptState, "busySince" | "contendedAt"> & { readonly epoch: number },
  ): void {
    const taker = commands.findLast(({ job: { options } }) => options.snapshots !== undefined);
    const snapshots = taker?.job.options.snapshots;
    const taken = snapshots && takeSnapshot(this.#actorId, base.version, end, snapshots);
    if (!isSpoiled && !isShared && commands.every(({ job }) => job.options.cache !== false)) {
      const usedAt = performance.now();
      this.#parts.states.set(this.#actorId, { actor: end, usedAt, ...times }, epoch);
    } else {
      this.#forget();
    }
    for (const command of commands) {
      const { job, outcome } = command;
      if ("error" in outcome) {
        job.reject(outcome.error);
        continue;
      }
      const result: ExecuteResult<unknown> = {
        ...outcome.result,
        sequence: this.#positions.get(job) ?? 0,
        duplicate: false,
        ...(job.options.commandId !== undefined && {
          searchedFrom: this.#handled?.searchedFrom ?? 0,
        }),
      };
      job.resolve(result, command === taker ? taken : undefined);
    }
  }

  /** The search for commands that were handled before; `undefined` if none of `jobs` has an id. */
  #handledFor(jobs: readonly PendingCommand[]): HandledBefore | undefined {
    if (!jobs.some(({ options }) => options.commandId !== undefined)) return undefined;
    const log = commandLogOf(this.#store)!;
    return this.#handled ??= new HandledBefore(
      this.#store,
      log,
      this.#actorId,
      this.#parts.memory!,
    );
  }

  /** Stores the outcome of a command without events; false if the actor has moved on. */
  async #record(
    handled: HandledBefore,
    { commands: [command] }: CommandPlan,
    jobs: readonly PendingCommand[],
    end: ActorEnd,
  ): Promise<boolean> {
    const { job, outcome } = command!;
    const contention = new ContentionWait(...UNKNOWN_WAITS);
    try {
      const position = await handled.record(
        job,
        "error" in outcome
          ? { kind: "refused", failure: failureOf(outcome.error) }
          : { kind: "unchanged" },
        end,
      );
      this.#positions.set(job, position);
      job.options.onRecorded?.();
      return true;
    } catch (error) {
      const isPassing = isAetherError(error, "VersionConflictError") ||
        isAetherError(error, "SaveOutcomeUnknownError");
      if (!isPassing || job.giveUpReason() !== undefined) throw error;
      await contention.wait(jobs);
      await handled.hasMoved(end);
      return false;
    }
  }

  /** Takes note of where the events of a plan are. */
  #note(plan: CommandPlan, receipt: SaveReceipt, handled: HandledBefore | undefined): void {
    const saved = plan.commands.filter(({ outcome }) => eventsOf(outcome) > 0);
    const positions = positionsIn(receipt, partsOf(saved));
    for (const [at, { job }] of saved.entries()) this.#positions.set(job, positions[at]!);
    if (handled !== undefined) handled.saved(plan, receipt);
    // A save that names no exact end may have others' receipts before it: they are looked for again.
    else this.#parts.memory?.peek(this.#actorId)?.forget();
  }

  #forget(): undefined {
    this.#parts.states.delete(this.#actorId);
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

/** Ends those of `jobs` that were handled before; true if there were any. */
async function repeat(
  handled: HandledBefore,
  jobs: readonly PendingCommand[],
  { base, places }: Met,
): Promise<boolean> {
  for (const [at, job] of jobs.entries()) {
    const place = places[at];
    if (place === undefined) continue;
    const repeated = handled.repeat(job, place, base).catch((error) => job.reject(error));
    await unlessLate(repeated, [job]);
  }
  return places.some((place) => place !== undefined);
}

/** The events of each command that led to some. */
function partsOf(commands: readonly PlannedCommand[]): SavePart[] {
  return commands
    .filter(({ outcome }) => eventsOf(outcome) > 0)
    .map(({ job, outcome }) => ({ events: eventsOf(outcome), command: job.options.commandId }));
}

function eventsOf(outcome: PlannedCommand["outcome"]): number {
  return "result" in outcome ? outcome.result.events.length : 0;
}

/** Whether two commands may be saved together. */
function fits(job: PendingCommand, first: PendingCommand): boolean {
  return job.decider === first.decider && !job.isAlone && !first.isAlone;
}

/** Whether the caller still waits; if not, its call rejects with the unknown outcome. */
function isWaiting(command: PlannedCommand, unknown: UnknownSaves, error: unknown): boolean {
  const { job } = command;
  const reason = job.giveUpReason();
  if (reason === undefined) return true;
  job.reject(unknown.errorFor(command, job.options.signal?.aborted ? reason.cause : error));
  return false;
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
