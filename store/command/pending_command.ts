import type { CommandTrace } from "./command_trace.ts";
import type { Decider } from "./decider.ts";
import type { SnapshotOptions } from "./rehydrate.ts";
import { StoreUnavailableError, type VersionConflictError } from "../errors.ts";
import type { Event, EventMetadata } from "../event.ts";

/** A decider whose types were checked where the command was given. */
export type AnyDecider = Decider<unknown, unknown>;

/** One command on its way: it ends with its result, a refusal, its deadline or its signal. */
export class PendingCommand {
  readonly actorId: string;
  readonly decider: AnyDecider;
  readonly command: unknown;
  readonly options: InnerExecuteOptions;
  /** Its trace, if a tracing SDK is installed. */
  readonly trace: CommandTrace | undefined;
  /** When to give up, by the monotonic clock, in ms. */
  readonly deadline: number;
  /** Settles for the caller when the command ends. */
  readonly promise: Promise<ExecuteResult<unknown>>;
  /** The last conflict of its save: the command rejects with it when its time is over. */
  conflict: VersionConflictError | undefined;
  /** Whether it must be saved by itself, since a save together with others was refused. */
  isAlone = false;
  readonly #resolve: (result: ExecuteResult<unknown>) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #timer: ReturnType<typeof setTimeout>;
  #isSettled = false;
  #isSaving = false;
  #result: ExecuteResult<unknown> | undefined;

  /** Begins to wait. */
  constructor(
    actorId: string,
    decider: AnyDecider,
    command: unknown,
    options: ExecuteOptions,
    timeout: number,
    trace?: CommandTrace,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<ExecuteResult<unknown>>();
    this.actorId = actorId;
    this.decider = decider;
    this.command = command;
    this.options = options;
    this.trace = trace;
    this.deadline = performance.now() + timeout;
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(() => this.#hurry(), timeout);
    options.signal?.addEventListener("abort", this.#hurry);
  }

  /** Metadata for each of its events. */
  get metadata(): EventMetadata | undefined {
    return this.trace === undefined ? this.options.metadata : this.trace.metadata;
  }

  /** Whether its end is known, reported to the caller or about to be. */
  get isSettled(): boolean {
    return this.#isSettled || this.#result !== undefined;
  }

  /** Its events are on their way: from now on only the store knows how it ends. */
  saving(): void {
    this.#isSaving = true;
  }

  /** Its events are certainly not stored: it may be tried again if there is time. */
  notSaved(): void {
    this.#isSaving = false;
    if (performance.now() >= this.deadline) this.#hurry();
    else if (this.options.signal?.aborted === true) this.#hurry();
  }

  /** The reason why the caller no longer waits; `undefined` while there is time. */
  giveUpReason(): { readonly cause: unknown } | undefined {
    const { signal } = this.options;
    if (signal?.aborted === true) return { cause: signal.reason };
    if (performance.now() < this.deadline) return undefined;
    return { cause: new Error("the deadline has passed") };
  }

  /** Ends with `result`, at once or when `after` is done; the deadline cuts that wait short. */
  resolve(result: ExecuteResult<unknown>, after?: Promise<void>): void {
    if (after === undefined) return this.#settle(() => this.#resolve(result));
    this.#result = result;
    after.then(() => this.#settle(() => this.#resolve(result)));
    if (this.giveUpReason() !== undefined) this.#hurry();
  }

  /** Ends with a failure. */
  reject(reason: unknown): void {
    this.#settle(() => this.#reject(reason));
  }

  /** The time is over, or the caller has aborted. */
  readonly #hurry = (): void => {
    const { signal } = this.options;
    const result = this.#result;
    if (result !== undefined) this.#settle(() => this.#resolve(result));
    else if (this.#isSaving) return;
    else if (signal?.aborted === true) this.reject(signal.reason);
    else this.reject(this.conflict ?? overdue(this.actorId));
  };

  #settle(report: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.options.signal?.removeEventListener("abort", this.#hurry);
    report();
  }
}

function overdue(actorId: string): StoreUnavailableError {
  return new StoreUnavailableError(
    `Cannot execute the command on "${actorId}": its turn did not end before its deadline; ` +
      "nothing was saved",
  );
}

/** Options for {@linkcode execute}. */
export interface ExecuteOptions {
  /**
   * How long the command may wait for its turn and be tried again, in ms. It does not cut off a
   * save under way: the store's own `timeout` ends that.
   *
   * @default {10_000}
   */
  readonly timeout?: number;
  /** Loads from snapshots, and takes them. @default {undefined} */
  readonly snapshots?: SnapshotOptions;
  /** Metadata for each event; a draft's own metadata takes precedence. @default {undefined} */
  readonly metadata?: EventMetadata;
  /**
   * Whether the command has a span, and its events carry the span's trace context in their metadata
   * unless they have one of their own: as soon as a tracing SDK of OpenTelemetry is installed, and for
   * commands that it records.
   *
   * @default {true}
   */
  readonly trace?: boolean;
  /**
   * Whether this process may keep the actor's state in memory for the next command; it keeps the
   * 1,000 actors used last. The save decides whether the state is current.
   *
   * @default {true}
   */
  readonly cache?: boolean;
  /**
   * Names the command: the same one again, in any process and at any later time, is not decided
   * again, but gets the outcome of the first one. A token of at most 200 bytes when encoded.
   *
   * @default {undefined}
   */
  readonly commandId?: string;
  /**
   * The event that led to the command, or a time before its first try: the command was not handled
   * before, so only what is stored behind is searched for it, whatever that is. An event of another
   * store is no bound. Without it, the messages are searched that hold the actor's last 1,000 events.
   *
   * @default {undefined}
   */
  readonly cause?: CommandCause | Date;
  /**
   * The version that the actor must be at (an ETag's): else the command is refused with
   * `VersionConflictError`. Not checked for a command that was handled before.
   *
   * @default {undefined}
   */
  readonly expectedVersion?: number;
  /**
   * Stores the outcome of a command with a `commandId` if it is refused or leads to no event: it is
   * final then, and the same for every later try. Without it such a command may be decided again.
   *
   * @default {false}
   */
  readonly record?: boolean;
  /**
   * Gives up with the signal's reason while nothing is saved. Once events are on their way,
   * `execute` waits for the outcome; if it stays unknown, the abort ends the attempts to find out.
   *
   * @default {undefined}
   */
  readonly signal?: AbortSignal;
}

/** {@linkcode ExecuteOptions} for callers inside the library. */
export interface InnerExecuteOptions extends ExecuteOptions {
  /** Whether `record` is for refusals too. @default {true} */
  readonly recordRefusals?: boolean;
  /** Called when the outcome of this call of `decide` is stored as a receipt: it is final. */
  readonly onRecorded?: () => void;
  /** Whether `metadata` has the trace of what led to the command, which its events go on. @default {false} */
  readonly isTraceOfCause?: boolean;
  /** Whether the caller has read the cause from this very store, so that it is there. @default {false} */
  readonly isCauseRead?: boolean;
}

/** The event that led to a command, by its place. */
export interface CommandCause {
  /** The `identity` of the store that has the event. */
  readonly identity: string;
  /** The event's position, its `sequence`. */
  readonly sequence: number;
  /** The event's id. */
  readonly id: string;
}

/** The result of {@linkcode execute}. */
export interface ExecuteResult<State, E extends Event = Event> {
  /**
   * The actor's state after the command: the caller's own copy, unless it is frozen or an instance
   * of a class.
   */
  readonly state: State;
  /** The actor's version after the command. */
  readonly version: number;
  /** The events that the command led to, as they were saved; empty if it changed nothing. */
  readonly events: readonly E[];
  /** The position of the last of them, or of the command's receipt; 0 if neither is stored. */
  readonly sequence: number;
  /** Whether the command was handled before: state and version are those behind its own events. */
  readonly duplicate: boolean;
  /**
   * With a `commandId`: the position from which on the actor's messages were searched for the
   * command; 0 if all were. A command that was handled before that position is not noticed.
   */
  readonly searchedFrom?: number;
}
