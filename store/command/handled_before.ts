import { dropOldest } from "../base/oldest.ts";
import { freshCopy } from "../base/fresh.ts";
import type { ActorEnd, CommandLog, CommandPlace } from "../command_log.ts";
import { CommandRefusedError } from "../errors.ts";
import { asStreamSequence, indexOf, messageSequenceOf, positionOf } from "../format/position.ts";
import { positionsIn } from "../format/save_options.ts";
import type { SaveReceipt } from "../options.ts";
import type { EventStore } from "../store.ts";
import type { Evolution } from "./decider.ts";
import { type ActorState, advance, initial } from "./actor_state.ts";
import { KnownCommands } from "./known_commands.ts";
import type {
  CommandCause,
  ExecuteResult,
  InnerExecuteOptions,
  PendingCommand,
} from "./pending_command.ts";
import type { CommandPlan } from "./plan.ts";
import { type Outcome, readOutcome } from "./recorded_outcome.ts";
import { load, type LoadOptions } from "./rehydrate.ts";

/** Actors whose commands are remembered, for each store. */
const KEPT_ACTORS = 1000;
/** Causes that are remembered to be where they are said to be, for each store. */
const KEPT_CAUSES = 1000;

/** The commands that are known to be handled, by actor; the actors used last. */
export class CommandMemory {
  readonly #log: CommandLog;
  readonly #actors = new Map<string, KnownCommands>();
  readonly #causes = new Set<string>();

  /** Reads from `log`. */
  constructor(log: CommandLog) {
    this.#log = log;
  }

  /** The known commands of an actor. */
  of(actorId: string): KnownCommands {
    const known = this.#actors.get(actorId) ?? new KnownCommands(this.#log, actorId);
    this.#actors.delete(actorId);
    this.#actors.set(actorId, known);
    dropOldest(this.#actors, KEPT_ACTORS);
    return known;
  }

  /** The known commands of an actor, if there are any. */
  peek(actorId: string): KnownCommands | undefined {
    return this.#actors.get(actorId);
  }

  /** Whether the store has the event of a cause where it is said to be. */
  async holds({ sequence, id }: CommandCause): Promise<boolean> {
    const key = `${sequence} ${id}`;
    if (this.#causes.has(key)) return true;
    if (!await this.#log.holds(sequence, id)) return false;
    this.#causes.add(key);
    dropOldest(this.#causes, KEPT_CAUSES);
    return true;
  }
}

/** The facts of a command that a search for its id needs. */
export interface CommandFacts {
  readonly options: Pick<
    InnerExecuteOptions,
    "commandId" | "cause" | "isCauseRead" | "snapshots" | "signal"
  >;
}

/** An actor where it ended at one moment, and what was known of some commands then. */
export interface Met {
  readonly base: ActorState;
  /** Where the actor ended: a save that names it is refused if anything was stored since. */
  readonly end: ActorEnd;
  /** Where the outcome of each command is; `undefined` if it was not handled up to the end. */
  readonly places: readonly (CommandPlace | undefined)[];
}

/** The commands of one actor that have ids: finds those that were handled before. */
export class HandledBefore {
  readonly #store: EventStore;
  readonly #log: CommandLog;
  readonly #actorId: string;
  readonly #memory: CommandMemory;
  readonly #known: KnownCommands;

  /** Looks in what `memory` knows of the actor, and in `log`. */
  constructor(store: EventStore, log: CommandLog, actorId: string, memory: CommandMemory) {
    this.#store = store;
    this.#log = log;
    this.#actorId = actorId;
    this.#memory = memory;
    this.#known = memory.of(actorId);
  }

  /**
   * Looks for commands, and brings the state to where the actor ended then. Other views of the store share what
   * is known, so it may have moved on by the time that a caller saves: what a save depends on is all of one moment.
   */
  async meet(jobs: readonly CommandFacts[], base: ActorState): Promise<Met> {
    let needed = await this.#look(jobs);
    this.#known.takeLast();
    let state = base;
    for (;;) {
      const { end, since } = this.#known;
      const places = jobs.map((job) => this.find(job));
      const isKnown = places.every((place, at) => place !== undefined || since <= needed[at]!);
      if (!isKnown) needed = await this.#look(jobs); // Something was forgotten meanwhile.
      else if (state.version > end.version) await this.#known.refresh();
      else if (state.version < end.version) {
        state = await advance(this.#store, this.#actorId, state);
      } else return { base: state, end, places };
    }
  }

  /** Looks for commands, and loads the state; what the search has read is not read again. */
  async load<State>(
    jobs: readonly CommandFacts[],
    evolution: Evolution<State>,
    options: LoadOptions,
  ): Promise<ActorState<State>> {
    await this.#look(jobs);
    const last = this.#known.takeLast();
    if (this.#known.end.version === 0) return initial(evolution);
    return await load(this.#store, this.#actorId, evolution, { ...options, last });
  }

  /** Learns what was stored since the actor ended at `end`; true if that was anything. */
  async hasMoved(end: ActorEnd | undefined): Promise<boolean> {
    await this.#known.refresh();
    return this.#known.end.sequence !== end?.sequence;
  }

  /** Where the outcome of a command is, if it was handled before. */
  find({ options: { commandId } }: CommandFacts): CommandPlace | undefined {
    return commandId === undefined ? undefined : this.#known.get(commandId);
  }

  /** From which position on commands were looked for. */
  get searchedFrom(): number {
    const { since } = this.#known;
    return since === 0 ? 0 : positionOf(asStreamSequence(since + 1));
  }

  /** Ends a command with the outcome that it had before. */
  async repeat(job: PendingCommand, place: CommandPlace, base: ActorState): Promise<void> {
    job.resolve(await this.resultOf(job.options, job.decider, place, base));
  }

  /**
   * The result that a command had before.
   *
   * @throws {CommandRefusedError} It was refused.
   */
  async resultOf(
    options: CommandFacts["options"],
    decider: Evolution<unknown>,
    place: CommandPlace,
    base: ActorState,
  ): Promise<ExecuteResult<unknown>> {
    const { commandId = "", snapshots, signal } = options;
    const { events, sequence, outcome } = await this.#log.outcome(this.#actorId, commandId, place);
    const recorded = events.length > 0 ? undefined : readOutcome(outcome);
    if (recorded?.kind === "refused") {
      throw new CommandRefusedError(commandId, this.#actorId, recorded.failure);
    }
    const toVersion = place.version;
    const { state } = base.version === toVersion
      ? base
      : await load(this.#store, this.#actorId, decider, { snapshots, signal, toVersion });
    return {
      ...{ state: freshCopy(state), version: place.version, events, sequence, duplicate: true },
      searchedFrom: this.searchedFrom,
    };
  }

  /**
   * Stores the outcome of a command without events, unless the actor has moved on from `end`; gives the position
   * of the receipt.
   */
  async record(job: PendingCommand, outcome: Outcome, end: ActorEnd): Promise<number> {
    const { commandId = "", signal } = job.options;
    const receipt = { actorId: this.#actorId, commandId, end, outcome };
    const { sequence } = await this.#log.record(receipt, signal);
    const message = messageSequenceOf(sequence);
    const place = { messages: [message], version: end.version, events: 0 };
    this.#known.add(new Map([[commandId, place]]), { version: end.version, sequence: message });
    return sequence;
  }

  /** Takes note of what was saved, and where. */
  saved(plan: CommandPlan, receipt: SaveReceipt): void {
    notePlan(this.#known, plan, receipt);
  }

  /** Gives, for each command that is not known to be handled, the stream sequence behind which all are known. */
  async #look(jobs: readonly CommandFacts[]): Promise<number[]> {
    const needed: number[] = [];
    for (const { options } of jobs) {
      if (options.commandId === undefined) needed.push(Infinity);
      else if (this.#known.get(options.commandId) !== undefined) needed.push(-1);
      else needed.push(await this.#known.reach(await this.#boundOf(options)));
    }
    return needed;
  }

  async #boundOf(
    { cause, isCauseRead = false }: CommandFacts["options"],
  ): Promise<number | Date | undefined> {
    if (cause === undefined || cause instanceof Date) return cause;
    if (cause.identity !== this.#store.identity) return undefined;
    const isHere = isCauseRead || await this.#memory.holds(cause);
    return isHere ? messageSequenceOf(cause.sequence) : undefined;
  }
}

/** Takes note of what was saved, and where, for commands of the actor to come. */
function notePlan(known: KnownCommands, plan: CommandPlan, receipt: SaveReceipt): void {
  const saved = plan.commands.filter(({ outcome }) =>
    "result" in outcome && outcome.result.events.length > 0
  );
  const parts = saved.map(({ outcome }) => ({
    events: "result" in outcome ? outcome.result.events.length : 0,
  }));
  const places = new Map<string, CommandPlace>();
  for (const [at, position] of positionsIn(receipt, parts).entries()) {
    const { job: { options: { commandId } }, outcome } = saved[at]!;
    // Over several messages: where the first ones are, a search finds out.
    if (indexOf(position) + 1 < parts[at]!.events) return known.forget();
    if (commandId === undefined || !("result" in outcome)) continue;
    const messages = [messageSequenceOf(position)];
    const { version, events } = outcome.result;
    places.set(commandId, { messages, version, events: events.length });
  }
  const sequence = messageSequenceOf(receipt.sequence);
  known.add(places, { version: plan.end.version, sequence });
}
