import { given, needDecider, needObject, needString } from "../base/given.ts";
import { needStore } from "../check/query.ts";
import { freshCopy } from "../base/fresh.ts";
import { unlessAborted } from "../base/abort.ts";
import { commandLogOf } from "../command_log.ts";
import { isAetherError, type SaveOutcomeUnknownError, StoreUnavailableError } from "../errors.ts";
import type { Event } from "../event.ts";
import { eventRulesOf } from "../event_rules.ts";
import { forgetEpoch } from "../forget_epoch.ts";
import type { EventStore } from "../store.ts";
import { inSpan } from "../telemetry/spans.ts";
import { type ActorState, advance } from "./actor_state.ts";
import { checkCommand } from "./command_options.ts";
import { type CommandTrace, traceCommand } from "./command_trace.ts";
import { ContentionWait } from "./contention_wait.ts";
import type { Decider, Decision } from "./decider.ts";
import { type CommandQueues, queuesOf } from "./command_queues.ts";
import { HandledBefore } from "./handled_before.ts";
import type { JointReceipt } from "./joint_saves.ts";
import type { AnyDecider, ExecuteOptions, ExecuteResult } from "./pending_command.ts";
import { decideOn, type PlannedResult } from "./plan.ts";
import { load, policyOf, takeSnapshot } from "./rehydrate.ts";

/** A command on one of the actors of {@linkcode executeAll}. */
export interface ExecutePart<State = unknown, Command = unknown, E extends Event = Event> {
  /** The actor to run the command on. */
  readonly actorId: string;
  /** The rules. */
  readonly decider: Decider<State, Command, E>;
  /** The command, for `decide`. */
  readonly command: Command;
}

/** Options for {@linkcode executeAll}. */
export type ExecuteAllOptions = Omit<ExecuteOptions, "expectedVersion" | "record">;

/** The results of {@linkcode executeAll}, in the order of its parts. */
export type ExecuteAllResults<Parts extends readonly unknown[]> = {
  -readonly [At in keyof Parts]: Parts[At] extends
    { readonly decider: Decider<infer State, infer _Command, infer E extends Event> }
    ? ExecuteResult<State, E>
    : ExecuteResult<unknown>;
};

/** How long an actor that another process has written to is kept apart, in ms. */
const CONTENDED = 1_000;
/** First wait after a conflict, in ms, and the longest one. */
const WAITS = [2, 64] as const;

/**
 * Runs commands on several actors together: all are decided on the actors' current states, and all
 * of their events are saved at once, or none. A part that leads to no event takes part as a guard:
 * its actor must still be at the version that it was decided on. Several parts may name one actor;
 * each is decided on the state that those before it leave behind.
 *
 * Calls of one process that share an actor, and single commands on it, wait for each other instead
 * of conflicting.
 *
 * @param store The store of the events. A cluster's store takes only actors of its own shards.
 * @param parts The commands, at least one.
 * @throws Any error that `decide` or `evolve` of a part throws, untouched; nothing was saved.
 * @throws {VersionConflictError} Other writers were faster until the deadline; nothing was saved.
 * @throws {StoreUnavailableError} The store could not be reached in time; nothing was saved.
 * @throws {SaveOutcomeUnknownError} The store did not report in time whether the events are saved.
 * @throws {FencedError} A shard of the actors is another node's; nothing was saved.
 *
 * @example Move money from one account to another
 * ```ts
 * import { type Decider, type Event, executeAll, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * type Moved = Event<"Moved", { amount: number }>;
 * const account: Decider<number, number, Moved> = {
 *   initialState: () => 0,
 *   evolve: (balance, { data }) => balance + data.amount,
 *   decide: (amount, balance) => {
 *     if (balance + amount < 0) throw new RangeError(`there is only ${balance}`);
 *     return { eventType: "Moved", data: { amount } };
 *   },
 * };
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * await executeAll(store, [{ actorId: "account-1", decider: account, command: 100 }]);
 * const [from, to] = await executeAll(store, [
 *   { actorId: "account-1", decider: account, command: -30 },
 *   { actorId: "account-2", decider: account, command: 30 },
 * ]);
 * console.log(from.state, to.state); // 70 30
 * ```
 */
export async function executeAll<
  const Parts extends readonly {
    readonly actorId: string;
    readonly decider: {
      readonly initialState: () => unknown;
      // deno-lint-ignore no-explicit-any -- each decider has states and events of its own
      readonly evolve: (state: any, event: any) => unknown;
      // deno-lint-ignore no-explicit-any -- each decider has states and commands of its own
      readonly decide: (command: any, state: any) => Decision | Promise<Decision>;
    };
    readonly command: unknown;
  }[],
>(
  store: EventStore,
  parts: Parts,
  options: ExecuteAllOptions = {},
): Promise<ExecuteAllResults<Parts>> {
  const what = "execute the commands";
  needStore(store, what);
  needObject(options, what, "options");
  const { timeout = 10_000, signal, snapshots } = options;
  signal?.throwIfAborted();
  checkCommand(options, commandLogOf(store));
  const all = parts as readonly ExecutePart[];
  if (!Array.isArray(parts)) {
    throw new TypeError(`Cannot ${what}: parts is ${given(parts)}, not an array`);
  }
  if (all.length === 0) throw new RangeError(`Cannot ${what}: there are none`);
  for (const [at, part] of all.entries()) {
    needObject(part, what, `part ${at}`);
    needString(part.actorId, what, `actorId of part ${at}`);
    needDecider(part.decider, what, `decider of part ${at}`);
  }
  if (snapshots !== undefined) policyOf(snapshots);
  const queues = queuesOf(store);
  const actors = [...new Set(all.map(({ actorId }) => actorId))];
  const trace = traceCommand("executeAll", actors, options);
  const deadline = performance.now() + timeout;
  const call = new JointCall(store, all, options, queues, deadline, trace);
  const turn = () => unlessAborted(signal, queues.turns.run(actors, () => call.run()));
  return await inSpan(trace?.spanned, turn) as ExecuteAllResults<Parts>;
}

/** The states of actors after the parts of a call; nothing is saved yet. */
interface JointPlan {
  readonly results: readonly PlannedResult[];
  readonly events: readonly Event[];
  readonly originals: readonly Event[];
  readonly ends: ReadonlyMap<string, ActorState>;
  /** Whether `evolve` may have changed a state that a plan begins with. */
  readonly isInPlace: boolean;
  /** Whether a state was given away that cannot be copied. */
  readonly isShared: boolean;
}

/** One call, from its turn to its end. */
class JointCall {
  readonly #store: EventStore;
  readonly #parts: readonly ExecutePart[];
  readonly #options: ExecuteAllOptions;
  readonly #queues: CommandQueues;
  readonly #deadline: number;
  readonly #trace: CommandTrace | undefined;
  readonly #handled: ReadonlyMap<string, HandledBefore>;
  readonly #waits = new ContentionWait(...WAITS);
  readonly #epoch = forgetEpoch();
  #bases = new Map<string, ActorState>();
  /** When a save was refused last, of this call or one before on its actors. */
  #contendedAt = -Infinity;
  /** Notes that it is not about to save any more. */
  #prepared: () => void = () => {};

  constructor(
    store: EventStore,
    parts: readonly ExecutePart[],
    options: ExecuteAllOptions,
    queues: CommandQueues,
    deadline: number,
    trace: CommandTrace | undefined,
  ) {
    this.#store = store;
    this.#parts = parts;
    this.#options = options;
    this.#queues = queues;
    this.#deadline = deadline;
    this.#trace = trace;
    const log = commandLogOf(store);
    this.#handled = new Map(
      options.commandId === undefined
        ? []
        : parts.map(({ actorId }) =>
          [actorId, new HandledBefore(store, log!, actorId, queues.memory!)] as const
        ),
    );
  }

  /** Decides and saves, again after a conflict. */
  async run(): Promise<ExecuteResult<unknown>[]> {
    try {
      return await this.#run();
    } finally {
      this.#prepared();
    }
  }

  async #run(): Promise<ExecuteResult<unknown>[]> {
    let conflict: unknown;
    let isFresh = false;
    for (;;) {
      this.#check(conflict);
      this.#prepared();
      this.#prepared = this.#queues.joint.prepare();
      await this.#loadAll();
      const repeated = await this.#repeat();
      if (repeated !== undefined) return repeated;
      let plan: JointPlan | undefined;
      try {
        plan = await this.#plan();
      } catch (error) {
        // The caller hears of a refusal only if the states are known to be the present ones.
        if (isFresh || !await this.#advanceAll()) throw error;
        this.#bases.clear(); // `evolve` may have thrown halfway.
        isFresh = true;
        continue;
      }
      if (plan.events.length === 0) {
        if (isFresh || !await this.#advanceAll()) return this.#results(plan, []);
        isFresh = true;
        continue;
      }
      const saved = await this.#save(plan);
      if ("receipt" in saved) return await this.#complete(plan, saved.receipt);
      conflict = saved.conflict;
      this.#contendedAt = performance.now();
      await this.#waits.wait([]);
      await this.#advanceAll();
      if (plan.isInPlace || plan.isShared) this.#bases.clear();
      isFresh = true;
    }
  }

  #check(conflict: unknown): void {
    const reason = this.#reasonToEnd();
    if (reason !== undefined) throw this.#options.signal?.aborted ? reason : conflict ?? reason;
  }

  /** Why nobody waits for the call any more, if that is so. */
  #reasonToEnd(): unknown {
    const { signal } = this.#options;
    if (signal?.aborted) return signal.reason;
    if (performance.now() < this.#deadline) return undefined;
    return new StoreUnavailableError(
      "Cannot execute the commands: their turn did not end before the deadline; nothing was saved",
    );
  }

  /** Whether another process has lately written to one of the actors. */
  get #isContended(): boolean {
    return performance.now() - this.#contendedAt < CONTENDED;
  }

  async #loadAll(): Promise<void> {
    const { states } = this.#queues;
    const { snapshots, signal } = this.#options;
    await Promise.all(this.#parts.map(async ({ actorId, decider }) => {
      const rules = decider as AnyDecider;
      const kept = this.#options.cache === false ? undefined : states.get(actorId, rules);
      if (kept !== undefined) {
        this.#contendedAt = Math.max(this.#contendedAt, kept.contendedAt);
      }
      const handled = this.#handled.get(actorId);
      const jobs = [{ options: this.#options }];
      const base = this.#bases.get(actorId) ?? kept?.actor ??
        await (handled?.load(jobs, rules, { snapshots, signal }) ??
          load(this.#store, actorId, rules, { snapshots, signal }));
      this.#bases.set(
        actorId,
        handled === undefined ? base : await handled.meet(jobs, base),
      );
    }));
  }

  /** Reads what was stored since; true if that was anything. */
  async #advanceAll(): Promise<boolean> {
    let moved = false;
    const { signal } = this.#options;
    await Promise.all([...this.#bases].map(async ([actorId, base]) => {
      this.#queues.states.delete(actorId);
      if (await this.#handled.get(actorId)?.refresh()) moved = true;
      const present = await advance(this.#store, actorId, base, { signal });
      if (present.version !== base.version) moved = true;
      this.#bases.set(actorId, present);
    }));
    return moved;
  }

  /** The results that the command had before, if it was handled. */
  async #repeat(): Promise<ExecuteResult<unknown>[] | undefined> {
    const job = { options: this.#options };
    const look = () => this.#parts.map(({ actorId }) => this.#handled.get(actorId)?.find(job));
    let places = look();
    if (places.every((place) => place === undefined)) return undefined;
    // An actor may be remembered, or have been read, as it was before the command.
    if (places.includes(undefined)) {
      await this.#advanceAll();
      places = look();
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
    const ends = new Map(this.#bases);
    const results: PlannedResult[] = [];
    const events: Event[] = [];
    const originals: Event[] = [];
    let isInPlace = false;
    let isShared = false;
    for (const { actorId, decider, command } of this.#parts) {
      const decided = await decideOn(
        actorId,
        ends.get(actorId)!,
        decider as AnyDecider,
        command,
        this.#trace === undefined ? this.#options.metadata : this.#trace.metadata,
        eventRulesOf(this.#store),
      );
      ends.set(actorId, decided.end);
      isInPlace ||= decided.isInPlace;
      isShared ||= decided.isShared;
      results.push(decided.result);
      events.push(...decided.result.events);
      originals.push(...decided.originals);
    }
    return { results, events, originals, ends, isInPlace, isShared };
  }

  async #save(
    { results, events, originals }: JointPlan,
  ): Promise<{ receipt: JointReceipt } | { conflict: unknown }> {
    const { commandId: command } = this.#options;
    const ends = new Map([...this.#handled].map(([actorId, { end }]) => [actorId, end]));
    const options = {
      expect: [...this.#bases].map(([actorId, { version }]) => ({ actorId, version })),
      parts: partsOf(results).map((part) => ({ ...part, command })),
      ...(ends.size > 0 && { ends }),
    };
    // Servers limit the guards of one batch; one that others write to would hold up the rest.
    const written = new Set(events.map(({ actorId }) => actorId));
    const canGroup = written.size === this.#bases.size && !this.#isContended;
    let unknown: SaveOutcomeUnknownError | undefined;
    for (;;) {
      try {
        const saved = unknown === undefined ? originals : events;
        const isOver = () => unknown === undefined ? this.#reasonToEnd() : undefined;
        const save = { events: saved, options, canGroup, isOver, trace: this.#trace };
        const saving = this.#queues.joint.save(save);
        this.#prepared();
        return { receipt: await saving };
      } catch (error) {
        if (isAetherError(error, "VersionConflictError")) return { conflict: error };
        if (isAetherError(error, "SaveOutcomeUnknownError")) unknown = error;
        else if (unknown === undefined) throw error;
        const isOver = performance.now() >= this.#deadline || this.#options.signal?.aborted;
        if (isOver) throw unknown;
        await this.#waits.wait([]);
      }
    }
  }

  async #complete(plan: JointPlan, receipt: JointReceipt): Promise<ExecuteResult<unknown>[]> {
    const { states, memory } = this.#queues;
    const { snapshots, cache } = this.#options;
    const contendedAt = this.#contendedAt;
    for (const [actorId, end] of plan.ends) {
      const base = this.#bases.get(actorId)!;
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

  /** Where the events of each part end, of a save whose answer was lost: looked up. */
  async #positionsOf({ results }: JointPlan): Promise<number[]> {
    const saved = results.filter(({ events }) => events.length > 0);
    return await Promise.all(saved.map(async ({ events }) => {
      const { actorId, id } = events.at(-1)!;
      for await (const event of this.#store.readAll({ filter: { actorId } })) {
        if (event.id === id) return event.sequence;
      }
      return 0;
    }));
  }
}

function partsOf(results: readonly PlannedResult[]): { events: number }[] {
  return results.filter(({ events }) => events.length > 0)
    .map(({ events }) => ({ events: events.length }));
}
