import { unlessAborted } from "../base/abort.ts";
import { freshCopy } from "../base/fresh.ts";
import { commandLogOf } from "../command_log.ts";
import { SaveOutcomeUnknownError, StoreUnavailableError } from "../errors.ts";
import type { Event } from "../event.ts";
import { eventRulesOf } from "../event_rules.ts";
import { forgetEpoch } from "../forget_epoch.ts";
import type { EventStore } from "../store.ts";
import { type ActorState, advance } from "./actor_state.ts";
import type { CommandQueues } from "./command_queues.ts";
import type { CommandTrace } from "./command_trace.ts";
import { ContentionWait } from "./contention_wait.ts";
import type { Decider } from "./decider.ts";
import { HandledBefore, type Met } from "./handled_before.ts";
import type { JointReceipt } from "./joint_saves.ts";
import type { AnyDecider, ExecuteOptions, ExecuteResult } from "./pending_command.ts";
import { decideOn, evolveBy, type PlannedResult } from "./plan.ts";
import { load, takeSnapshot } from "./rehydrate.ts";
import type { KeptState } from "./state_cache.ts";
import { UnknownSaves } from "./unknown_saves.ts";

/** A command on one of the actors of `executeAll`. */
export interface ExecutePart<State = unknown, Command = unknown, E extends Event = Event> {
  /** The actor to run the command on. */
  readonly actorId: string;
  /** The rules; those of parts on one actor have the same `initialState` and `evolve`. */
  readonly decider: Decider<State, Command, E>;
  /** The command, for `decide`. */
  readonly command: Command;
}

/** Options for `executeAll`. */
export type ExecuteAllOptions = Omit<ExecuteOptions, "expectedVersion" | "record">;

/** How long an actor that another process has written to is kept apart, in ms. */
const CONTENDED = 1_000;
/** First wait after a conflict or a try without an answer, in ms, and the longest one. */
const WAITS = [2, 64] as const;

/** The states of actors after the parts of a call; nothing is saved yet. */
interface JointPlan {
  /** The states that it begins with. */
  readonly bases: ReadonlyMap<string, ActorState>;
  readonly ends: Map<string, ActorState>;
  readonly results: PlannedResult[];
  readonly events: Event[];
  /** The same with the very data that `decide` returned, which the store has to check. */
  readonly originals: Event[];
  /** What a part has thrown: there is nothing to save then. */
  failure?: { readonly error: unknown };
  /** Whether the states that it begins with may be changed by now, as `evolve` may do in place. */
  isSpent: boolean;
  /** Whether a state was given away that cannot be copied, and so may be changed by others. */
  isShared: boolean;
}

/** One call of `executeAll`, from its wait for its turn to its end. */
export class JointCall {
  readonly #store: EventStore;
  readonly #parts: readonly ExecutePart[];
  readonly #actors: readonly string[];
  readonly #options: ExecuteAllOptions;
  readonly #queues: CommandQueues;
  readonly #trace: CommandTrace | undefined;
  readonly #handled: ReadonlyMap<string, HandledBefore>;
  readonly #waits = new ContentionWait(...WAITS);
  readonly #epoch = forgetEpoch();
  /** Aborted when nobody waits any more: at the deadline, or by the caller's signal. */
  readonly #over = new AbortController();
  /** The states to go on from, as long as they are whole; they are this call's own. */
  readonly #bases = new Map<string, ActorState>();
  /** The actors as they were met, if the command has an id. */
  readonly #met = new Map<string, Met>();
  /** The states that were remembered. */
  readonly #kept = new Map<string, KeptState>();
  /** Why the last save was refused. */
  #conflict: unknown;
  /** When a save was refused last, of this call or one before on its actors. */
  #contendedAt = -Infinity;
  /** Notes that it is not about to save any more. */
  #prepared: () => void = () => {};

  constructor(
    store: EventStore,
    parts: readonly ExecutePart[],
    options: ExecuteAllOptions,
    queues: CommandQueues,
    trace: CommandTrace | undefined,
  ) {
    this.#store = store;
    this.#parts = parts;
    this.#actors = [...new Set(parts.map(({ actorId }) => actorId))];
    this.#options = options;
    this.#queues = queues;
    this.#trace = trace;
    const log = commandLogOf(store);
    this.#handled = new Map(
      options.commandId === undefined
        ? []
        : this.#actors.map((actorId) =>
          [actorId, new HandledBefore(store, log!, actorId, queues.memory!)] as const
        ),
    );
  }

  /** Waits for the turn of all actors, decides and saves, again after a conflict. */
  async run(): Promise<ExecuteResult<unknown>[]> {
    const { timeout = 10_000, signal } = this.#options;
    const abort = () => this.#over.abort(signal!.reason);
    const timer = setTimeout(() => this.#over.abort(overdue()), timeout);
    signal?.addEventListener("abort", abort);
    try {
      const begun = Promise.withResolvers<void>();
      const turn = this.#queues.turns.run(this.#actors, () => {
        begun.resolve();
        return this.#turn();
      });
      turn.catch(() => {}); // A turn that comes too late ends at once.
      await this.#unlessOver(begun.promise);
      return await turn;
    } catch (error) {
      const isLate = signal?.aborted !== true && error === this.#over.signal.reason;
      throw isLate ? this.#conflict ?? error : error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  async #turn(): Promise<ExecuteResult<unknown>[]> {
    try {
      return await this.#decideAndSave();
    } finally {
      this.#prepared();
      for (const [actorId, actor] of this.#bases) {
        const kept = this.#kept.get(actorId);
        if (kept !== undefined) this.#queues.states.set(actorId, { ...kept, actor }, this.#epoch);
      }
    }
  }

  async #decideAndSave(): Promise<ExecuteResult<unknown>[]> {
    let isFresh = false;
    for (;;) {
      this.#over.signal.throwIfAborted();
      this.#prepared();
      this.#prepared = this.#queues.joint.prepare();
      await this.#unlessOver(this.#loadAll());
      const repeated = await this.#unlessOver(this.#repeat());
      if (repeated !== undefined) return repeated;
      const plan = await this.#unlessOver(this.#plan());
      if (plan.failure !== undefined || plan.events.length === 0) {
        // The caller hears of it only if the states are known to be the present ones.
        if (!isFresh && await this.#unlessOver(this.#hasMoved())) {
          isFresh = true;
          continue;
        }
        if (plan.failure !== undefined) throw plan.failure.error;
        return this.#results(plan, []);
      }
      const saved = await this.#save(plan);
      if ("receipt" in saved) return await this.#complete(plan, saved.receipt);
      this.#conflict = saved.conflict;
      this.#contendedAt = performance.now();
      await this.#waits.wait();
      await this.#unlessOver(this.#hasMoved());
      isFresh = true;
    }
  }

  /** The result of `job`, unless nobody waits for it any more: a codec or a store may never answer. */
  #unlessOver<T>(job: Promise<T>): Promise<T> {
    return unlessAborted(this.#over.signal, job);
  }

  /** Whether another process has lately written to one of the actors. */
  get #isContended(): boolean {
    return performance.now() - this.#contendedAt < CONTENDED;
  }

  async #loadAll(): Promise<void> {
    const deciders = new Map(this.#parts.map(({ actorId, decider }) => [actorId, decider]));
    await Promise.all([...deciders].map(async ([actorId, decider]) => {
      const base = await this.#loadOne(actorId, decider as AnyDecider);
      this.#bases.set(actorId, base);
    }));
  }

  async #loadOne(actorId: string, decider: AnyDecider): Promise<ActorState> {
    const { snapshots } = this.#options;
    const { signal } = this.#over;
    const handled = this.#handled.get(actorId);
    const jobs = [{ options: this.#options }];
    const base = this.#take(actorId) ?? this.#remembered(actorId, decider) ??
      await (handled?.load(jobs, decider, { snapshots, signal }) ??
        load(this.#store, actorId, decider, { snapshots, signal }));
    if (handled === undefined) return base;
    const met = await handled.meet(jobs, base);
    this.#met.set(actorId, met);
    return met.base;
  }

  #remembered(actorId: string, decider: AnyDecider): ActorState | undefined {
    if (this.#options.cache === false) return undefined;
    const kept = this.#queues.states.take(actorId, decider);
    if (kept === undefined) return undefined;
    this.#kept.set(actorId, kept);
    this.#contendedAt = Math.max(this.#contendedAt, kept.contendedAt);
    return kept.actor;
  }

  /** Takes a state out, so that nothing goes on from it if it is not brought back. */
  #take(actorId: string): ActorState | undefined {
    const base = this.#bases.get(actorId);
    this.#bases.delete(actorId);
    return base;
  }

  /** Reads the events that were stored since; true if there are any, or if a state has to be loaded again. */
  async #hasMoved(): Promise<boolean> {
    const { signal } = this.#over;
    const moved = await Promise.all(this.#actors.map(async (actorId) => {
      const end = this.#met.get(actorId)?.end;
      const isSearched = await this.#handled.get(actorId)?.hasMoved(end) ?? false;
      const base = this.#take(actorId);
      if (base === undefined) return true;
      const present = await advance(this.#store, actorId, base, { signal });
      this.#bases.set(actorId, present);
      return isSearched || present.version !== base.version;
    }));
    return moved.includes(true);
  }

  /** The results that the command had before, if it was handled. */
  async #repeat(): Promise<ExecuteResult<unknown>[] | undefined> {
    const job = { options: this.#options };
    let places = this.#parts.map(({ actorId }) => this.#met.get(actorId)?.places[0]);
    if (places.every((place) => place === undefined)) return undefined;
    // An actor may be remembered, or have been read, as it was before the command.
    if (places.includes(undefined)) {
      await this.#hasMoved();
      places = this.#parts.map(({ actorId }) => this.#handled.get(actorId)!.find(job));
    }
    return await Promise.all(this.#parts.map(async ({ actorId, decider }, at) => {
      const base = this.#bases.get(actorId)!;
      const handled = this.#handled.get(actorId)!;
      const place = places[at];
      if (place !== undefined) return await handled.resultOf(this.#options, decider, place, base);
      const { state, version } = base; // It was only looked at.
      return { state: freshCopy(state), version, events: [], sequence: 0, duplicate: true };
    }));
  }

  async #plan(): Promise<JointPlan> {
    const bases = new Map(this.#bases);
    this.#bases.clear();
    const plan: JointPlan = {
      ...{ bases, ends: new Map(bases), results: [], events: [], originals: [] },
      ...{ isSpent: false, isShared: false },
    };
    try {
      for (const part of this.#parts) await this.#decide(part, plan);
    } catch (error) {
      plan.failure = { error };
    }
    // No try begins at what `evolve` may have changed in place, or has left halfway.
    if (plan.isSpent || plan.isShared) return plan;
    for (const [actorId, base] of bases) this.#bases.set(actorId, base);
    return plan;
  }

  /** Decides one part, on the states that those before it leave behind. */
  async #decide({ actorId, decider, command }: ExecutePart, plan: JointPlan): Promise<void> {
    const base = plan.ends.get(actorId)!;
    const rules = decider as AnyDecider;
    const decided = await decideOn(actorId, base, rules, command, eventRulesOf(this.#store));
    plan.isShared ||= decided.isShared;
    const metadata = this.#trace === undefined ? this.#options.metadata : this.#trace.metadata;
    const wasSpent = plan.isSpent;
    plan.isSpent = true; // `evolve` may throw halfway.
    const { drafts, isShared } = decided;
    const evolved = evolveBy(actorId, base, rules, drafts, metadata, isShared);
    plan.isSpent = wasSpent || evolved.isInPlace;
    plan.isShared ||= evolved.isShared;
    plan.ends.set(actorId, evolved.end);
    plan.results.push(evolved.result);
    // One by one: a call takes no more arguments than fit on the stack.
    for (const event of evolved.result.events) plan.events.push(event);
    for (const original of evolved.originals) plan.originals.push(original);
  }

  /** Saves the plan; gives the conflict if one has certainly prevented it. */
  async #save(
    { bases, results, events, originals }: JointPlan,
  ): Promise<{ readonly receipt: JointReceipt } | { readonly conflict: unknown }> {
    const { commandId: command } = this.#options;
    const ends = new Map([...this.#met].map(([actorId, { end }]) => [actorId, end]));
    const options = {
      expect: [...bases].map(([actorId, { version }]) => ({ actorId, version })),
      parts: results.filter(({ events }) => events.length > 0)
        .map(({ events }, at) => ({ events: events.length, command, joins: at > 0 })),
      ...(ends.size > 0 && { ends }),
    };
    // Servers limit the guards of one batch; one that others write to would hold up the rest.
    const written = new Set(events.map(({ actorId }) => actorId));
    const canGroup = written.size === bases.size && !this.#isContended;
    const unknown = new UnknownSaves();
    const { signal } = this.#over;
    return await unknown.run(async (isAgain) => {
      const isOver = () => !isAgain && signal.aborted ? signal.reason : undefined;
      const save = { events: isAgain ? events : originals, options, canGroup, isOver };
      const saving = this.#queues.joint.save({ ...save, trace: this.#trace });
      this.#prepared();
      return await saving;
    }, async (error) => {
      if (signal.aborted) throw unknown.error(events[0]!, error);
      await this.#waits.wait();
    });
  }

  async #complete(plan: JointPlan, receipt: JointReceipt): Promise<ExecuteResult<unknown>[]> {
    const { states, memory } = this.#queues;
    const { snapshots, cache } = this.#options;
    const contendedAt = this.#contendedAt;
    this.#bases.clear();
    for (const [actorId, end] of plan.ends) {
      const base = plan.bases.get(actorId)!;
      const usedAt = performance.now();
      if (cache === false || plan.isShared) states.delete(actorId);
      else {
        const kept = { actor: end, busySince: usedAt, usedAt, contendedAt };
        states.set(actorId, kept, this.#epoch);
      }
      if (end.version !== base.version) memory?.peek(actorId)?.forget();
      if (snapshots !== undefined) void takeSnapshot(actorId, base.version, end, snapshots);
    }
    return this.#results(plan, receipt.positions ?? await this.#positionsOf(plan));
  }

  #results(plan: JointPlan, positions: readonly number[]): ExecuteResult<unknown>[] {
    const left = [...positions];
    return plan.results.map((result) => ({
      ...result,
      sequence: result.events.length > 0 ? left.shift()! : 0,
      duplicate: false,
    }));
  }

  /**
   * Where the events of each part end, of a save whose answer was lost: looked up.
   *
   * @throws {SaveOutcomeUnknownError} They are saved, and where cannot be read.
   */
  async #positionsOf({ results, events }: JointPlan): Promise<number[]> {
    const saved = results.filter(({ events }) => events.length > 0);
    try {
      return await Promise.all(saved.map(async ({ events }) => {
        const { actorId, id } = events.at(-1)!;
        for await (const event of this.#store.readAll({ filter: { actorId } })) {
          if (event.id === id) return event.sequence;
        }
        return 0;
      }));
    } catch (cause) {
      const { actorId, version } = events[0]!;
      const settle = () => Promise.resolve("saved" as const);
      throw new SaveOutcomeUnknownError(actorId, version, settle, { cause });
    }
  }
}

function overdue(): StoreUnavailableError {
  return new StoreUnavailableError(
    "Cannot execute the commands: their turn did not end before the deadline; nothing was saved",
  );
}
