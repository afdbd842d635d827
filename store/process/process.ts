import type { EventDraft } from "../append.ts";
import type { CommandFailure } from "../errors.ts";
import type { Event, RecordedEvent } from "../event.ts";

/** The outcome of a command that a process issued: an input like an event. */
export interface ProcessReply {
  /** Tells it from events. */
  readonly kind: "reply";
  /** The command's id. */
  readonly commandId: string;
  /** The actor that the command went to. */
  readonly actorId: string;
  /** The key that the command was issued under, if it had one. */
  readonly key?: string;
  /** The events that it led to. */
  readonly events: readonly Event[];
  /** Why it was refused, if it was. */
  readonly refused?: CommandFailure;
}

/** A deadline of a process that has come: an input like an event. */
export interface ProcessDeadline {
  /** Tells it from events. */
  readonly kind: "deadline";
  /** The name under which it was set. */
  readonly name: string;
  /** When it was due. */
  readonly at: Date;
}

/** How an effect ended that a process has called: an input like an event. */
export interface ProcessEffect {
  /** Tells it from events. */
  readonly kind: "effect";
  /** The effect's name. */
  readonly name: string;
  /** The key that it was called under, if it had one. */
  readonly key?: string;
  /**
   * `"unknown"` if the program died while it ran: it may be done, or not. Also if it was done, and
   * the store cannot keep what it gave: `failure` says so then.
   */
  readonly outcome: "done" | "failed" | "unknown";
  /** Its result; `null` if that was nothing, or it was not done. */
  readonly result: unknown;
  /** Its last error, if it has failed; or why its result cannot be stored. */
  readonly failure?: CommandFailure;
}

/**
 * An input of a process: an event, the outcome of a command that it issued, a deadline that it has
 * set, or the end of an effect.
 */
export type ProcessInput<E extends Event = Event> =
  | (E & RecordedEvent)
  | ProcessReply
  | ProcessDeadline
  | ProcessEffect;

/** A command that a process issues. */
export interface ProcessCommand {
  /** The actor that gets it. */
  readonly actorId: string;
  /** The command: plain data, for it is stored. */
  readonly command: unknown;
  /** Tells it from the reaction's other commands to that actor, and comes back with the reply. */
  readonly key?: string;
}

/** An effect that a process calls. */
export interface ProcessEffectCall {
  /** The name of one of the manager's effects. */
  readonly name: string;
  /** Its input: plain data, for it is stored. */
  readonly input: unknown;
  /** Tells it from the reaction's other calls of that effect, and comes back with its end. */
  readonly key?: string;
}

/** The outcome of an input. All of it is stored in one commit, or nothing. */
export interface ProcessReaction<Fact extends Event = Event> {
  /** Facts for the process's own history; its state is folded from them. */
  readonly facts?: readonly EventDraft<Fact>[];
  /** Commands to send. */
  readonly commands?: readonly ProcessCommand[];
  /**
   * Whether the commands are decided together with the input, and their events stored in the same
   * commit as all else that it leads to, or nothing of it. Their actors have to be on the manager's
   * store, with deciders there. No reply comes back: the facts hold if all accept. If one refuses,
   * nothing of the reaction is stored, nor of any command; the input counts as taken, and the
   * refusal is the next input.
   *
   * @default {false}
   */
  readonly together?: boolean;
  /** Effects to run. */
  readonly effects?: readonly ProcessEffectCall[];
  /**
   * Deadlines by their names: a time sets one, in place of that which has the name already; `null`
   * clears it. One that has come is cleared; set it again for another round.
   */
  readonly deadlines?: Readonly<Record<string, Date | null>>;
  /** Whether the process ends: later inputs are taken without effect. @default {false} */
  readonly done?: boolean;
}

/** The third argument of `react`. */
export interface ProcessContext {
  /** The process's id, as `correlate` gave it. */
  readonly id: string;
  /** The time by the server's clock: set deadlines from it. */
  readonly now: Date;
}

/**
 * A long-running piece of work over several actors, as plain functions: which inputs belong to it,
 * what its facts make up, and what each input leads to.
 *
 * Nothing is replayed but the facts: `react` is asked once for each input, and what it answered is
 * stored. So new code goes on with old processes, as long as `evolve` can still read their facts.
 *
 * @typeParam State What reactions are based on; anything that `evolve` can build.
 * @typeParam Input The union of the events that it is given.
 * @typeParam Fact The union of the events of its own history.
 */
export interface Process<State, Input extends Event = Event, Fact extends Event = Event> {
  /** The kind of process, without `-` and `:`; its histories are the actors `process:<name>-<id>`. */
  readonly name: string;
  /**
   * The id of the process that an event belongs to; `undefined` if it belongs to none. The first
   * event of an id begins the process. It must answer for every event that the filter lets through.
   */
  readonly correlate: (event: Input & RecordedEvent) => string | undefined;
  /** Returns the state of a process without facts. */
  readonly initialState: () => State;
  /** Returns the state after `fact`; pure, as that of a decider. */
  readonly evolve: (state: State, fact: Fact) => State;
  /**
   * Returns what `input` leads to in `state`; nothing is no reaction. Pure: it is called again if
   * another input was faster. If it throws, the process is parked.
   */
  readonly react: (
    state: State,
    input: ProcessInput<Input>,
    context: ProcessContext,
  ) => ProcessReaction<Fact> | undefined | void;
}
