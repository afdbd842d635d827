import {
  asGiven,
  needFunction,
  needMethods,
  needObject,
  needOptionalFunctions,
  needString,
} from "../base/given.ts";
import { needStore } from "../check/query.ts";
import { freshCopy } from "../base/fresh.ts";
import { guarded } from "../base/guarded.ts";
import { print } from "../base/hook.ts";
import { uuidv8 } from "../base/uuid.ts";
import type { AnyDecider } from "../command/pending_command.ts";
import { needCommandLog } from "../command_log.ts";
import { type CommandFailure, isAetherError } from "../errors.ts";
import type { Event, RecordedEvent } from "../event.ts";
import type { EventFilter } from "../options.ts";
import type { CheckpointStore } from "../projection/checkpoint_store.ts";
import { withoutTransactions } from "../projection/plain_checkpoints.ts";
import type { ProjectionLag } from "../projection/lag.ts";
import type { ProjectionLeases } from "../projection/leases.ts";
import type { HandlingTrace, ProjectionMetrics } from "../projection/monitor.ts";
import type {
  InnerProjectionOptions,
  ProjectionRetry,
  ProjectionStart,
  ProjectionStatus,
  ProjectionWaitOptions,
} from "../projection/options.ts";
import { Projection, restartAfter } from "../projection/projection.ts";
import type { ParkedActor } from "../projection/state.ts";
import { originOf } from "../read/stream_check.ts";
import type { EventStore } from "../store.ts";
import {
  dispatch,
  type DispatchOutcome,
  executeRecorded,
  metadataBy,
  persist,
} from "./dispatch.ts";
import { type Outgoing, outgoingOf, type SendCommand, withKeys } from "./outgoing.ts";

/** The second argument of `react`, beside the event. */
export interface ReactorContext {
  /** Aborted when the reactor is stopping: slow work may throw, and gets the event again. */
  readonly signal: AbortSignal;
}

/** The commands that an event leads to, or nothing. */
export type Reaction = Outgoing | readonly Outgoing[] | undefined | void;

/** A command that was refused; see `onRefused` of {@linkcode ReactorOptions}. */
export interface RefusedCommand {
  /** The actor that refused it. */
  readonly actorId: string;
  /** The command. */
  readonly command: unknown;
  /** Its id. */
  readonly commandId: string;
  /** The error that `decide` threw, or the handler behind `send`. */
  readonly failure: CommandFailure;
  /** The event that led to it. */
  readonly event: RecordedEvent;
}

/** Options for {@linkcode Reactor}. */
export interface ReactorOptions<E extends Event = Event> {
  /** Distinguishes it from other reactors, and takes part in the ids of its commands. */
  readonly name: string;
  /** The store whose events it handles; commands with a decider are executed on it. */
  readonly store: EventStore;
  /** Keeps its position; transactions are not used. */
  readonly checkpoints: Pick<CheckpointStore, "load" | "save">;
  /** Shares the partitions among the processes that run it. @default {this process runs all} */
  readonly leases?: ProjectionLeases;
  /** Which events. @default {all} */
  readonly filter?: EventFilter;
  /**
   * Where a new reactor begins. There is no default: `"start"` sends commands for all events that
   * are stored already.
   */
  readonly from: ProjectionStart;
  /**
   * The commands that an event leads to. For one event it must name the same actors with the same
   * keys whenever it is called, over deploys too: the ids of the commands are made of them.
   */
  readonly react: (
    event: E & RecordedEvent,
    context: ReactorContext,
  ) => Reaction | Promise<Reaction>;
  /** Takes commands without a decider to their actors. @default {there are none} */
  readonly send?: SendCommand;
  /**
   * Called when a command was refused, which is final: at least once for each, and again after a
   * crash. What it throws counts as a failure of the event.
   *
   * @default {nothing is done about it}
   */
  readonly onRefused?: (refused: RefusedCommand) => void | Promise<void>;
  /**
   * Into how many partitions the actors of the events are divided, 256 at most: events of one partition
   * are handled one after the other.
   *
   * @default {16}
   */
  readonly partitions?: number;
  /**
   * How the span of an event's handling is joined to the span that made the event; the events of its
   * commands go on with the trace. `"off"`: no span, and they carry no trace.
   *
   * @default {"child"}
   */
  readonly trace?: HandlingTrace;
  /** How an event is tried again if `react` or `onRefused` throws. */
  readonly retry?: ProjectionRetry;
  /** The fate of an event after the last try, as for a projection. @default {"park"} */
  readonly onPoison?: "halt" | "park";
  /** Actors that may be parked in one partition; one more halts the reactor. @default {100} */
  readonly maxParked?: number;
  /** Called for each failure that is followed by another try. @default {console.warn} */
  readonly onError?: (error: unknown, event?: RecordedEvent) => void;
}

/** The projection that a reactor runs by; `undefined` for anything else; not for users. */
export function projectionOf(value: object): Projection<undefined> | undefined {
  return projectionBy.get(value);
}

const projectionBy = new WeakMap<object, Projection<undefined>>();

/**
 * Turns events into commands, each once. It is named and durable as a {@linkcode Projection} is,
 * and hands out commands whose ids are made of the event that led to them: one that was sent before
 * a crash is recognised when it is sent again, after any time, and has its events once.
 *
 * A refusal is an outcome like any other: it is recorded with the actor, is final, and goes to
 * `onRefused`. While the store or the receiver is out of reach, or an outcome is unknown, the
 * reactor waits; it never parks an event for that. One whose command brings down its owners is not
 * tried again by itself, whatever `retry` says (`CommandCrashedOwnersError`).
 *
 * @typeParam E The events of the store, as the caller declares them; nothing checks this.
 *
 * @example Reserve stock for each order
 * ```ts
 * import {
 *   createEvent,
 *   type Decider,
 *   type Event,
 *   InMemoryCheckpointStore,
 *   InMemoryEventStore,
 *   Reactor,
 *   rehydrate,
 * } from "@flowmade-one/aether";
 *
 * type OrderPlaced = Event<"OrderPlaced", { sku: string }>;
 * const stock: Decider<number, { take: number }, Event<"Taken", { pieces: number }>> = {
 *   initialState: () => 0,
 *   evolve: (taken, { data }) => taken + data.pieces,
 *   decide: ({ take }) => ({ eventType: "Taken", data: { pieces: take } }),
 * };
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * await using reactor = new Reactor<OrderPlaced>({
 *   name: "reserve",
 *   store,
 *   checkpoints: new InMemoryCheckpointStore(),
 *   filter: { category: "order" },
 *   from: "start",
 *   react: ({ data }) => ({ actorId: `stock-${data.sku}`, decider: stock, command: { take: 1 } }),
 * });
 * const running = reactor.run();
 * const order = { eventType: "OrderPlaced", actorId: "order-1", version: 1 };
 * await store.saveEvent(createEvent({ ...order, data: { sku: "pen" } }));
 * await reactor.caughtUp;
 * console.log((await rehydrate(store, "stock-pen", stock)).state); // 1
 * await reactor[Symbol.asyncDispose]();
 * await running;
 * ```
 */
export class Reactor<E extends Event = Event> implements AsyncDisposable {
  /** Distinguishes it from other reactors. */
  readonly name: string;
  readonly #options: ReactorOptions<E>;
  readonly #onError: (error: unknown, event?: RecordedEvent) => void;
  readonly #projection: Projection<undefined, E>;

  /**
   * Does nothing yet: every method but `run` works without running it.
   *
   * @throws {RangeError} An option is out of its range.
   * @throws {TypeError} `from` or another option is missing, or of another kind.
   */
  constructor(options: ReactorOptions<E>) {
    needObject(options, "make the reactor", "options");
    const { name, store, checkpoints, leases, filter, from, retry, maxParked } = options;
    needString(name, "make the reactor", "name");
    const doing = `make reactor "${name}"`;
    needStore(store, doing);
    if (options.send === undefined) needCommandLog(store, doing);
    needMethods(checkpoints, ["load", "save"], doing, "checkpoints", "a CheckpointStore");
    needFunction(options.react, doing, "react");
    needOptionalFunctions(options, ["send", "onRefused", "onError"], doing);
    if (from === undefined) {
      throw new TypeError(`Cannot open reactor "${name}": from is missing, and has no default`);
    }
    this.name = name;
    this.#options = asGiven(options);
    const what = `reactor "${name}"`;
    const warn = (error: unknown) => print("warn", `${what} goes on after a failure:`, error);
    this.#onError = guarded(`onError of ${what}`, options.onError?.bind(options) ?? warn);
    const own: InnerProjectionOptions<undefined, E> = {
      ...{ name: `reactor:${name}`, store, checkpoints: withoutTransactions(checkpoints), from },
      ...(leases && { leases }),
      ...(filter && { filter }),
      ...(retry && { retry }),
      ...(maxParked !== undefined && { maxParked }),
      ...(options.trace && { trace: options.trace }),
      partitions: options.partitions ?? 16,
      onPoison: options.onPoison ?? "park",
      onError: this.#onError,
      handler: (event, { signal }) => this.#handle(event, signal),
      // Another try would bring down more nodes: a person has to look at the command.
      isFinal: (error) => isAetherError(error, "CommandCrashedOwnersError"),
    };
    this.#projection = new Projection(own);
    projectionBy.set(this, this.#projection as Projection<undefined>);
  }

  /** Counts of its work in this process since it was made: calls that succeeded, by events. */
  get metrics(): ProjectionMetrics {
    return this.#projection.metrics;
  }

  /**
   * Resolves when all events that were stored when you read this property are handled or parked,
   * and their commands with them. Each read gives a new promise. Nobody needs to await it.
   */
  get caughtUp(): Promise<void> {
    return this.#projection.caughtUp;
  }

  /**
   * Runs the reactor, until `signal` is aborted or it is disposed.
   *
   * @throws {PoisonEventError} It has halted at an event that cannot be handled.
   * @throws {StreamRegressedError} The store has lost handled events, or is another one: see
   * {@linkcode Reactor.resumeAt}.
   * @throws {CheckpointConflictError} Another process runs it, and it has no leases.
   * @throws {TypeError} It is running already, or disposed.
   */
  run(options: ProjectionWaitOptions = {}): Promise<void> {
    return this.#projection.run(options);
  }

  /** Stops handling, in all processes, until {@linkcode Reactor.resume}. */
  pause(): Promise<void> {
    return this.#projection.pause();
  }

  /** Goes on handling, in all processes. */
  resume(): Promise<void> {
    return this.#projection.resume();
  }

  /**
   * Goes on, in all processes, with the first event at `position` or after it, and forgets what is
   * parked: for a store that was restored, of which only you know what had left it. Events that were
   * handled before lead to the same commands, which are recognised.
   *
   * @throws {RangeError} `position` is no position.
   */
  async resumeAt(position: number): Promise<void> {
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new RangeError(
        `Cannot resume reactor "${this.name}": ${position} is not a safe integer of 0 or more`,
      );
    }
    await restartAfter(this.#projection, Math.max(0, position - 1));
  }

  /** The status of the reactor, for all processes; its version counts the calls of `resumeAt`. */
  status(): Promise<ProjectionStatus> {
    return this.#projection.status();
  }

  /** How far it is behind the store; see {@linkcode Projection.lag}. */
  lag(options: ProjectionWaitOptions = {}): Promise<ProjectionLag> {
    return this.#projection.lag(options);
  }

  /** The actors whose events wait because one of them could not be handled. */
  parked(): Promise<ParkedActor[]> {
    return this.#projection.parked();
  }

  /**
   * Passes over a message that belongs to no actor, in all processes; see {@linkcode Projection.skip}.
   *
   * @throws {RangeError} No such message is at this position.
   */
  skip(sequence: number): Promise<void> {
    return this.#projection.skip(sequence);
  }

  /** Tries the parked events of an actor again; see {@linkcode Projection.unpark}. */
  unpark(actorId: string, options: ProjectionWaitOptions = {}): Promise<boolean> {
    return this.#projection.unpark(actorId, options);
  }

  /** Ends it, after the command at hand; may be repeated. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#projection[Symbol.asyncDispose]();
  }

  async #handle(event: E & RecordedEvent, signal: AbortSignal): Promise<void> {
    // A copy: what `react` changes takes no part in the ids of its commands.
    const reaction = await this.#options.react(freshCopy(event), { signal });
    for (const { outgoing, key } of withKeys(outgoingOf(reaction))) {
      const { actorId, command } = outgoing;
      const commandId = await this.#idOf(event, actorId, key);
      const outcome = await this.#run(event, outgoing, commandId, signal);
      if (outcome.kind === "handled") continue;
      const { failure } = outcome;
      const refused = { actorId, command, commandId, failure, event };
      await this.#options.onRefused?.(freshCopy(refused));
    }
  }

  #idOf(event: RecordedEvent, target: string, key: string | number): Promise<string> {
    const { actorId, version, id } = event;
    const origin = originOf(this.#options.store.identity); // A restore does not change it.
    return uuidv8(["reactor", this.name, origin, actorId, version, id, target, key]);
  }

  #run(
    event: E & RecordedEvent,
    { actorId, command, decider }: Outgoing,
    commandId: string,
    signal: AbortSignal,
  ): Promise<DispatchOutcome> {
    const { store, send } = this.#options;
    const trace = this.#options.trace !== "off";
    const cause = { identity: store.identity, sequence: event.sequence, id: event.id };
    const metadata = metadataBy(event, trace);
    const sent = { actorId, command, commandId, cause, metadata, trace, signal };
    return persist(signal, (error) => this.#onError(error, event), async () => {
      if (decider !== undefined) return await executeRecorded(store, decider as AnyDecider, sent);
      if (send !== undefined) return await dispatch(store, send, sent, event.timestamp);
      throw new TypeError(
        `Cannot send a command to "${actorId}": there is neither decider nor send`,
      );
    }).catch((error) => {
      if (decider === undefined || !isAetherError(error, "FencedError")) throw error;
      const reason = "its store is a cluster's, where commands go out by send, without a decider";
      throw new TypeError(`Cannot execute a command on "${actorId}": ${reason}`, { cause: error });
    });
  }
}
