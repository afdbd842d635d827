import { categoryOf } from "../actor.ts";
import { guarded } from "../base/guarded.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import { tokenProblem } from "../base/token.ts";
import { uuidv8 } from "../base/uuid.ts";
import { execute } from "../command/execute.ts";
import type { AnyDecider, CommandCause, InnerExecuteOptions } from "../command/pending_command.ts";
import { rehydrate } from "../command/rehydrate.ts";
import { commandLogOf } from "../command_log.ts";
import { isAetherError } from "../errors.ts";
import type { Event, EventMetadata, RecordedEvent } from "../event.ts";
import { messageSequenceOf } from "../format/position.ts";
import type { EventFilter } from "../options.ts";
import type { CheckpointStore } from "../projection/checkpoint_store.ts";
import type { ProjectionLag } from "../projection/lag.ts";
import type { ProjectionLeases } from "../projection/leases.ts";
import {
  checkProjection,
  type InnerProjectionOptions,
  type ProjectionRetry,
  type ProjectionStart,
  type ProjectionWaitOptions,
} from "../projection/options.ts";
import { withoutTransactions } from "../projection/plain_checkpoints.ts";
import { Projection, restartAfter } from "../projection/projection.ts";
import { shortReason } from "../projection/state.ts";
import type { EventStore } from "../store.ts";
import { positionsOf } from "../store_positions.ts";
import { type DeadlineClock, ServerClock } from "../timer/clock.ts";
import { Agenda, type AgendaItem, type WorkEnd } from "./agenda.ts";
import {
  dispatch,
  type DispatchOutcome,
  executeRecorded,
  metadataBy,
  persist,
} from "./dispatch.ts";
import { type Effect, type EffectEnd, runEffect } from "./effect.ts";
import { type InputDecider, inputDecider } from "./inputs.ts";
import {
  type CalledEffect,
  type IssuedCommand,
  ledger,
  type LedgerChange,
  ledgerDecider,
  LedgerType,
  type OpenCommand,
  type OpenDeadline,
  type OpenEffect,
  type ParkedAt,
  ProcessHeld,
  ReactionFailure,
} from "./ledger.ts";
import type { OutgoingDecider, SendCommand } from "./outgoing.ts";
import { type ParkedProcess, ParkedProcesses } from "./parked.ts";
import type {
  Process,
  ProcessCommand,
  ProcessEffectCall,
  ProcessInput,
  ProcessReply,
} from "./process.ts";

/** How old an issued command has to be to be looked up before it is sent again, in ms. */
const OLD = 5_000;
/** How long an effect that ended while its program stops may take to be stored, in ms. */
const GRACE = 2_000;

/** Options for {@linkcode ProcessManager}. */
export interface ProcessManagerOptions<
  State = unknown,
  Input extends Event = Event,
  Fact extends Event = Event,
> {
  /** The rules. */
  readonly process: Process<State, Input, Fact>;
  /** The store of the events, and of the processes' own histories. */
  readonly store: EventStore;
  /** Keeps positions, and the index of what is open; transactions are not used. */
  readonly checkpoints: Pick<CheckpointStore, "load" | "save">;
  /** Shares the work among the processes that run it. @default {this process does all} */
  readonly leases?: ProjectionLeases;
  /** Which events are given to `correlate`. @default {all but those of processes of this kind} */
  readonly filter?: EventFilter;
  /**
   * Where a new manager begins. There is no default: `"start"` begins processes for all events that
   * are stored already.
   */
  readonly from: ProjectionStart;
  /** The deciders of targets on the store, by category: commands to them are executed on it. */
  readonly deciders?: Readonly<Record<string, OutgoingDecider>>;
  /** Takes commands to all other targets. @default {there are none} */
  readonly send?: SendCommand;
  /** What its processes may do outside of the store. @default {nothing} */
  readonly effects?: readonly Effect[];
  /** The time by which deadlines are due. @default {the clock of the store's server} */
  readonly clock?: DeadlineClock;
  /** Into how many partitions sources and processes are divided. @default {16} */
  readonly partitions?: number;
  /** How an input is tried again if the process's code throws, before the process is parked. */
  readonly retry?: ProjectionRetry;
  /** Called for each failure that is followed by another try. @default {console.warn} */
  readonly onError?: (error: unknown, event?: RecordedEvent) => void;
}

/** What a process is waiting for; see {@linkcode ProcessManager.describe}. */
export interface ProcessDescription<State = unknown> {
  /** The process's id. */
  readonly id: string;
  /** The actor that is its history. */
  readonly actorId: string;
  /** Its version; 0 if there is no such process. */
  readonly version: number;
  /** Its state; `undefined` if its code cannot fold it. */
  readonly state: State | undefined;
  /** Commands that were issued, and whose outcome is not taken in yet. */
  readonly commands: readonly OpenCommand[];
  /** Effects that were called, and whose end is not taken in yet. */
  readonly effects: readonly OpenEffect[];
  /** Deadlines that stand. */
  readonly deadlines: readonly OpenDeadline[];
  /** Where and why it is parked, if it is. */
  readonly parked: (ParkedAt & { readonly since: Date }) | undefined;
  /** Whether it has ended, and why if that was by hand. */
  readonly ended: { readonly reason?: string } | undefined;
}

/**
 * Runs the processes of one kind. Each input of a process is taken in one commit on the process's
 * own history: its facts, the commands that it issues, and the input's id, so that it is decided
 * once, whoever delivers it again. Commands go out after the commit under the ids that are stored,
 * as often as it takes; the outcome of each comes back as an input, once.
 *
 * Whatever crashes between any two steps: what was issued and not settled goes out again. While the
 * store or a receiver is out of reach it waits. A process whose code throws is parked, by itself.
 *
 * @typeParam State The state of a process.
 * @typeParam Input The events that are given to the process, as the caller declares them.
 * @typeParam Fact The events of its own history.
 *
 * @example An order that is paid once its stock is reserved
 * ```ts
 * import {
 *   createEvent,
 *   type Decider,
 *   type Event,
 *   InMemoryCheckpointStore,
 *   InMemoryEventStore,
 *   type Process,
 *   ProcessManager,
 *   rehydrate,
 * } from "@flowmade-one/aether";
 *
 * const counter: Decider<number, number, Event<"Counted", number>> = {
 *   initialState: () => 0,
 *   evolve: (sum, { data }) => sum + data,
 *   decide: (by) => ({ eventType: "Counted", data: by }),
 * };
 * const order: Process<string, Event<"OrderPlaced", number>, Event<"Became", string>> = {
 *   name: "order",
 *   correlate: ({ actorId }) => actorId,
 *   initialState: () => "new",
 *   evolve: (_, { data }) => data,
 *   react: (_state, input, { id, now }) => {
 *     const became = (data: string) => ({ eventType: "Became" as const, data });
 *     if (!("kind" in input)) {
 *       return {
 *         facts: [became("reserving")],
 *         deadlines: { payment: new Date(now.getTime() + 60_000) },
 *         commands: [{ actorId: "stock-pen", command: -input.data }],
 *       };
 *     }
 *     if (input.kind !== "reply") return { facts: [became("late")], done: true };
 *     if (input.actorId !== "stock-pen") return { facts: [became("paid")], done: true };
 *     return { facts: [became("reserved")], commands: [{ actorId: `payment-${id}`, command: 5 }] };
 *   },
 * };
 *
 * await using store = new InMemoryEventStore();
 * await using manager = new ProcessManager({
 *   process: order,
 *   store,
 *   checkpoints: new InMemoryCheckpointStore(),
 *   filter: { category: "order" },
 *   from: "start",
 *   deciders: { stock: counter, payment: counter },
 * });
 * const running = manager.run();
 * const placed = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: 2 };
 * await store.saveEvent(createEvent(placed));
 * for (;;) {
 *   const { ended, state } = await manager.describe("order-1");
 *   if (ended !== undefined) break;
 *   await new Promise((resolve) => setTimeout(resolve, 5));
 * }
 * console.log((await rehydrate(store, "stock-pen", counter)).state); // -2
 * await manager[Symbol.asyncDispose]();
 * await running;
 * ```
 */
export class ProcessManager<
  State = unknown,
  Input extends Event = Event,
  Fact extends Event = Event,
> implements AsyncDisposable {
  /** The kind of its processes. */
  readonly name: string;
  /** The category of the processes' histories. */
  readonly category: string;
  readonly #options: ProcessManagerOptions<State, Input, Fact>;
  readonly #decider: InputDecider<State, Input>;
  readonly #onError: (error: unknown, event?: RecordedEvent) => void;
  readonly #retry: Required<ProjectionRetry>;
  readonly #inbox: Projection<undefined, Input>;
  readonly #outbox: Projection<undefined>;
  readonly #clock: DeadlineClock;
  readonly #agenda: Agenda;
  readonly #parked: ParkedProcesses;
  /** Effects that ran here, whose end could not be taken in yet. */
  readonly #ends = new Map<string, EffectEnd>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  /**
   * Does nothing yet: every method but `run` works without running it.
   *
   * @throws {RangeError} An option or the name is out of its range.
   * @throws {TypeError} `from` is missing.
   */
  constructor(options: ProcessManagerOptions<State, Input, Fact>) {
    const { process, store, leases, filter, from, retry, partitions = 16 } = options;
    const { name } = process;
    const problem = tokenProblem(name) ?? (name.includes("-") ? "has a -" : undefined);
    if (problem !== undefined) {
      throw new RangeError(`Cannot manage processes: the name ${JSON.stringify(name)} ${problem}`);
    }
    if (from === undefined) {
      throw new TypeError(`Cannot manage "${name}": from is missing, and has no default`);
    }
    this.name = name;
    this.category = `process:${name}`;
    this.#options = options;
    this.#decider = inputDecider(process, (command) => this.#checkTarget(command));
    this.#onError = guarded(options.onError ?? ((error) => console.warn(error)));
    const checkpoints = withoutTransactions(options.checkpoints);
    const onError = this.#onError;
    const shared = { store, checkpoints, partitions, onError, ...(leases && { leases }) };
    const inbox: InnerProjectionOptions<undefined, Input> = {
      ...shared,
      ...{ name: this.category, from, ...(filter && { filter }), ...(retry && { retry }) },
      handler: (event, { signal }) => this.#deliver(event, signal),
    };
    this.#retry = checkProjection(inbox).failure;
    this.#inbox = new Projection(inbox);
    this.#clock = options.clock ?? new ServerClock(positionsOf(store));
    const key = `${this.category}:agenda`;
    this.#parked = new ParkedProcesses(checkpoints, `${this.category}:parked`, store.identity);
    const agenda = this.#agenda = new Agenda({
      ...{ store, checkpoints, key, category: this.category, onError },
      clock: this.#clock,
      work: (item, signal) => {
        if (item.deadline !== undefined) return this.#fire(item, signal);
        return item.event.eventType === LedgerType.called
          ? this.#runEffect(item, signal)
          : this.#settle(item, signal);
      },
    });
    const outbox: InnerProjectionOptions<undefined, Event> = {
      ...shared,
      ...{ name: key, filter: { category: this.category }, retry: { attempts: Infinity } },
      onHeld: (held) => agenda.take(held),
      handler: async (event, { partition }) => {
        agenda.see(event, partition);
        await this.#list(event);
      },
    };
    this.#outbox = new Projection(outbox);
  }

  /**
   * Resolves when all events that were stored when you read this property were given to their
   * processes; what those lead to may still be under way. Nobody needs to await it.
   */
  get caughtUp(): Promise<void> {
    return this.#inbox.caughtUp;
  }

  /**
   * Runs the processes, until `signal` is aborted or it is disposed.
   *
   * @throws {PoisonEventError} `correlate` threw, or the store refuses to go on.
   * @throws {StreamRegressedError} The store has lost handled events, or is another one: see
   * {@linkcode ProcessManager.resumeAt}.
   * @throws {CheckpointConflictError} Another process runs it, and it has no leases.
   * @throws {TypeError} It is running already, or disposed.
   */
  async run({ signal }: ProjectionWaitOptions = {}): Promise<void> {
    const ends = new AbortController();
    const all = [ends.signal, this.#stop.signal, ...(signal ? [signal] : [])];
    const stop = AbortSignal.any(all);
    const begin = async (projection: { run(options: ProjectionWaitOptions): Promise<void> }) => {
      try {
        await projection.run({ signal: stop });
      } finally {
        ends.abort();
      }
    };
    const running = Promise.allSettled([begin(this.#inbox), begin(this.#outbox)])
      .then(async (both) => {
        await this.#agenda.settled();
        const failed = both.find((it) => it.status === "rejected");
        if (failed !== undefined) throw failed.reason;
      });
    this.#running ??= running;
    try {
      await running;
    } finally {
      if (this.#running === running) this.#running = undefined;
    }
  }

  /** Stops taking inputs and sending commands, in all processes, until it is resumed. */
  async pause(): Promise<void> {
    await Promise.all([this.#inbox.pause(), this.#outbox.pause()]);
  }

  /** Goes on, in all processes. */
  async resume(): Promise<void> {
    await Promise.all([this.#inbox.resume(), this.#outbox.resume()]);
  }

  /**
   * Goes on, in all processes, with the first event at `position` or after it, and with what the
   * histories say is open: for a store that was restored. Inputs that were taken are recognised.
   *
   * @throws {RangeError} `position` is no position.
   */
  async resumeAt(position: number): Promise<void> {
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new RangeError(
        `Cannot resume "${this.name}": ${position} is not a safe integer of 0 or more`,
      );
    }
    await restartAfter(this.#outbox, 0);
    await restartAfter(this.#inbox, Math.max(0, position - 1));
  }

  /** How far it is behind the store with giving events to processes. */
  lag(options: ProjectionWaitOptions = {}): Promise<ProjectionLag> {
    return this.#inbox.lag(options);
  }

  /** The actor that is the history of a process. */
  actorOf(id: string): string {
    return `${this.category}-${id}`;
  }

  /** What a process is at, and what it is waiting for. */
  async describe(id: string): Promise<ProcessDescription<State>> {
    const { store } = this.#options;
    const actorId = this.actorOf(id);
    const { state: found, version } = await rehydrate(store, actorId, ledger);
    const { open, effects, deadlines, parked, ended } = found;
    let state: State | undefined;
    try {
      const range = { toVersion: version };
      ({ state: { state } } = await rehydrate(store, actorId, this.#decider, range));
    } catch (error) {
      if (!(error instanceof ReactionFailure)) throw error;
    }
    const waits = {
      commands: [...open.values()],
      effects: [...effects.values()],
      deadlines: [...deadlines.values()],
    };
    return { id, actorId, version, state, ...waits, parked, ended };
  }

  /** The processes that are parked: a list that follows their histories within moments. */
  parked(): Promise<ParkedProcess[]> {
    return this.#parked.list();
  }

  /**
   * Lets a parked process go on: gives it the events that it has missed, in order, then its
   * outcomes. For that it reads the store from the input that failed. True if all events were
   * taken; false if one failed again, so that the process stays parked.
   */
  async retry(id: string, { signal }: ProjectionWaitOptions = {}): Promise<boolean> {
    const stop = signal === undefined
      ? this.#stop.signal
      : AbortSignal.any([signal, this.#stop.signal]);
    const { parked, ended } = await this.describe(id);
    if (parked === undefined || ended !== undefined) return true;
    const next = await this.#takeFrom(parked.sequence, id, true, stop);
    if (next === undefined) return false;
    await this.#change(id, { kind: "unpark" }, stop);
    // Those that came since were not taken, as it was parked.
    return await this.#takeFrom(next, id, false, stop) !== undefined;
  }

  /** Ends a process by hand: later inputs are taken without effect. Open commands still go out. */
  async end(id: string, { reason }: { readonly reason?: string } = {}): Promise<void> {
    const change: LedgerChange = { kind: "end", ...(reason !== undefined && { reason }) };
    await this.#change(id, change, this.#stop.signal);
  }

  /** Ends it, after the work at hand; may be repeated. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException(`The manager of "${this.name}" is disposed`, "AbortError"));
    await this.#running?.catch(() => {}); // run() rejects with it.
    await this.#inbox[Symbol.asyncDispose]();
    await this.#outbox[Symbol.asyncDispose]();
  }

  /** Gives an event to the process that it belongs to. */
  async #deliver(event: Input & RecordedEvent, signal: AbortSignal): Promise<void> {
    if (categoryOf(event.actorId) === this.category) return;
    const id = this.#options.process.correlate(event);
    if (id !== undefined) await this.#takeEvent(id, event, false, signal);
  }

  /** Gives a process its events from a position on; the next position, if all were taken. */
  async #takeFrom(
    from: number,
    id: string,
    isRetry: boolean,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { store, filter = {}, process } = this.#options;
    let next = from;
    for await (const event of store.readAll({ from, filter, signal })) {
      next = event.sequence + 1;
      const input = event as Input & RecordedEvent;
      if (categoryOf(event.actorId) === this.category || process.correlate(input) !== id) continue;
      if (await this.#takeEvent(id, input, isRetry, signal) === "held") return undefined;
    }
    return next;
  }

  async #takeEvent(
    id: string,
    event: Input & RecordedEvent,
    isRetry: boolean,
    signal: AbortSignal,
  ): Promise<WorkEnd> {
    const { identity } = this.#options.store;
    const { actorId, version, id: eventId, sequence } = event;
    return await this.#take({
      ...{ id, input: event, isRetry, signal, event },
      inputId: await uuidv8(["event", identity, actorId, version, eventId]),
      cause: { identity, sequence, id: eventId },
      metadata: metadataBy(event),
    });
  }

  /** Takes an input; parks the process if its code fails with it again and again. */
  async #take(
    { id, input, inputId, isRetry, cause, metadata, signal, event, ...rest }: TakenInput<Input>,
  ): Promise<WorkEnd> {
    const { store } = this.#options;
    const actorId = this.actorOf(id);
    const taken = { ...rest, input, inputId, id, actorId, isRetry };
    const options: InnerExecuteOptions = {
      ...{ commandId: inputId, cause, metadata, signal },
      // That its code failed is no outcome: new code may do better.
      ...{ record: true, recordRefusals: false },
    };
    const nextWait = jitteredWaits(this.#retry.delay, this.#retry.maxDelay);
    for (let attempts = 1;; attempts++) {
      try {
        await persist(
          signal,
          (error) => this.#onError(error, event),
          async () => {
            const taking = { ...taken, now: new Date(await this.#clock.now()) };
            await execute(store, actorId, this.#decider, taking, options);
          },
        );
        return "done";
      } catch (error) {
        if (error instanceof ProcessHeld) return "held";
        if (signal.aborted || !isOfCode(error)) throw error;
        const thrown = error instanceof ReactionFailure ? error.cause : error;
        this.#onError(thrown, event);
        if (attempts >= this.#retry.attempts || isRetry) {
          const at = { sequence: cause.sequence, eventId: cause.id, reason: shortReason(thrown) };
          await this.#change(id, { kind: "park", at }, signal);
          return "held";
        }
        await sleep(nextWait(), signal);
        signal.throwIfAborted();
      }
    }
  }

  /** Changes the ledger of a process; needs none of the user's code. */
  async #change(id: string, change: LedgerChange, signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    const actorId = this.actorOf(id);
    await persist(
      signal,
      this.#onError,
      () => execute(store, actorId, ledgerDecider, change, { signal }),
    );
  }

  /** Sends an open command until its outcome is known, and takes that in. */
  async #settle({ event, actorId, name }: AgendaItem, signal: AbortSignal): Promise<WorkEnd> {
    const { store } = this.#options;
    const { identity } = store;
    const { id, actorId: target, command, key } = event.data as IssuedCommand;
    const onError = (error: unknown) => this.#onError(error, event);
    if (Date.now() - event.timestamp.getTime() > OLD) {
      const { state: { open } } = await rehydrate(store, actorId, ledger, { signal });
      if (!open.has(name)) return "done"; // The event that says so is still to come.
    }
    const cause: CommandCause = { identity, sequence: event.sequence, id: event.id };
    const metadata = metadataBy(event);
    const sent = { actorId: target, command, commandId: id, cause, metadata, signal };
    const outcome = await this.#send(sent, onError);
    const reply: ProcessReply = {
      ...{ kind: "reply", commandId: id, actorId: target },
      ...(key !== undefined && { key }),
      events: outcome.kind === "handled" ? outcome.events : [],
      ...(outcome.kind === "refused" && { refused: outcome.failure }),
    };
    return await this.#take({
      ...{ id: actorId.slice(this.category.length + 1), input: reply, isRetry: false },
      inputId: await uuidv8(["reply", identity, actorId, id]),
      ...{ cause, metadata, signal, event },
    });
  }

  /** Runs an effect that was called, and takes its end in. */
  async #runEffect(
    { event, actorId }: AgendaItem,
    signal: AbortSignal,
  ): Promise<WorkEnd> {
    const { store, effects = [] } = this.#options;
    const { identity } = store;
    const { id: effectId, name, input, key } = event.data as CalledEffect;
    const id = actorId.slice(this.category.length + 1);
    const onError = (error: unknown) => this.#onError(error, event);
    const effect = effects.find((it) => it.name === name);
    if (effect === undefined) throw new TypeError(`Cannot run effect "${name}": there is none`);
    const { state: { effects: open } } = await rehydrate(store, actorId, ledger, { signal });
    if (!open.has(effectId)) return "done"; // The event that says so is still to come.
    let end = this.#ends.get(effectId);
    if (end === undefined && await this.#start(actorId, effectId, signal)) {
      end = await runEffect(effect, input, { idempotencyKey: effectId, signal }, onError);
      this.#ends.set(effectId, end); // The process may be parked just now.
    }
    const inputId = await uuidv8(["effect", identity, actorId, effectId]);
    const takeBy = (signal: AbortSignal) =>
      this.#take({
        id,
        input: {
          ...{ kind: "effect", name, outcome: end?.outcome ?? "unknown" },
          result: end?.outcome === "done" ? end.result : null,
          ...(end?.outcome === "failed" && { failure: end.failure }),
          ...(key !== undefined && { key }),
        },
        inputId,
        cause: { identity, sequence: event.sequence, id: event.id },
        effectId,
        ...{ isRetry: false, metadata: metadataBy(event), signal, event },
      });
    const taken = await withGrace(signal, takeBy);
    if (taken === "done") this.#ends.delete(effectId);
    return taken;
  }

  /** Stores that an effect begins; true if it is this call that did, so that nobody else runs it. */
  async #start(actorId: string, id: string, signal: AbortSignal): Promise<boolean> {
    const { store } = this.#options;
    const commandId = crypto.randomUUID(); // The same over a lost answer.
    const change: LedgerChange = { kind: "start", id };
    const { events } = await persist(
      signal,
      this.#onError,
      () => execute(store, actorId, ledgerDecider, change, { commandId, signal }),
    );
    return events.length > 0;
  }

  /** Takes a deadline in that has come; whether it still stands, the process decides. */
  async #fire({ event, actorId, deadline }: AgendaItem, signal: AbortSignal): Promise<WorkEnd> {
    const { identity } = this.#options.store;
    const { sequence, id: eventId, version } = event;
    const { name, at } = deadline!;
    return await this.#take({
      id: actorId.slice(this.category.length + 1),
      input: { kind: "deadline", name, at: new Date(at) },
      inputId: await uuidv8(["deadline", identity, actorId, name, at, version]),
      cause: { identity, sequence, id: eventId },
      setAt: version,
      ...{ isRetry: false, metadata: metadataBy(event), signal, event },
    });
  }

  /** The outcome of a command; tries for as long as it takes. */
  async #send(
    sent: Parameters<typeof dispatch>[1],
    onError: (error: unknown) => void,
  ): Promise<DispatchOutcome> {
    const { store, send } = this.#options;
    const decider = this.#deciderOf(sent.actorId);
    const { signal, actorId, commandId, cause } = sent;
    const nextWait = jitteredWaits(this.#retry.delay, this.#retry.maxDelay);
    for (;;) {
      try {
        return await persist(signal, onError, async () => {
          if (decider !== undefined) return await executeRecorded(store, decider, sent);
          this.#checkTarget(sent);
          const outcome = await dispatch(send!, sent);
          if (outcome.kind === "refused") return outcome;
          // What `send` answers is not stored: the events are what counts.
          const log = commandLogOf(store);
          const { found } = await log?.search(actorId, messageSequenceOf(cause.sequence)) ?? {};
          const place = found?.get(commandId);
          if (place === undefined) return outcome;
          const { events } = await log!.outcome(actorId, commandId, place);
          return { kind: "handled", events };
        });
      } catch (error) {
        if (signal.aborted) throw error;
        onError(error);
        await sleep(nextWait(), signal);
        signal.throwIfAborted();
      }
    }
  }

  #deciderOf(target: string): AnyDecider | undefined {
    const { deciders = {} } = this.#options;
    const category = categoryOf(target);
    return Object.hasOwn(deciders, category) ? deciders[category] as AnyDecider : undefined;
  }

  #checkTarget(target: Pick<ProcessCommand, "actorId"> | ProcessEffectCall): void {
    if ("name" in target) {
      const { name } = target;
      if (this.#options.effects?.some((effect) => effect.name === name)) return;
      throw new TypeError(`Cannot call effect "${name}": the manager has none of that name`);
    }
    const { actorId } = target;
    if (this.#deciderOf(actorId) !== undefined || this.#options.send !== undefined) return;
    throw new TypeError(
      `Cannot issue a command to "${actorId}": its category has no decider, and there is no send`,
    );
  }

  /** Keeps the list of parked processes. */
  async #list({ actorId, eventType, data, timestamp }: Event): Promise<void> {
    const id = actorId.slice(this.category.length + 1);
    if (eventType === LedgerType.parked) {
      await this.#parked.add({ id, ...data as ParkedAt, since: timestamp.toISOString() });
    } else if (eventType === LedgerType.unparked || eventType === LedgerType.ended) {
      await this.#parked.remove(id);
    }
  }
}

/** An input, and what goes with it. */
interface TakenInput<Input extends Event> {
  readonly id: string;
  readonly input: ProcessInput<Input>;
  readonly inputId: string;
  readonly isRetry: boolean;
  readonly cause: CommandCause;
  readonly metadata: EventMetadata;
  readonly signal: AbortSignal;
  readonly event: RecordedEvent;
  readonly setAt?: number;
  readonly effectId?: string;
}

/** Does what has to be stored still though `signal` is aborted: it gets a moment then. */
async function withGrace<T>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (!signal.aborted) return await work(signal);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(signal.reason), GRACE);
  try {
    return await work(over.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the code of the process is to blame, rather than the store. */
function isOfCode(error: unknown): boolean {
  return error instanceof ReactionFailure || isAetherError(error, "InvalidEventError") ||
    isAetherError(error, "EventTooLargeError");
}
