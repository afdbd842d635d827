import { either, unlessStuck } from "../base/abort.ts";
import { guarded } from "../base/guarded.ts";
import { print } from "../base/hook.ts";
import { tokenProblem } from "../base/token.ts";
import { checkCategory, filterAsGiven } from "../check/query.ts";
import { rehydrate } from "../command/rehydrate.ts";
import { isAetherError } from "../errors.ts";
import type { Event, RecordedEvent } from "../event.ts";
import type { ProjectionLag } from "../projection/lag.ts";
import {
  checkProjection,
  type InnerProjectionOptions,
  type ProjectionWaitOptions,
} from "../projection/options.ts";
import { withoutTransactions } from "../projection/plain_checkpoints.ts";
import { Projection, restartAfter } from "../projection/projection.ts";
import type { ParkedActor } from "../projection/state.ts";
import type { EventStore } from "../store.ts";
import { positionsOf } from "../store_positions.ts";
import { ServerClock } from "../timer/clock.ts";
import { GuardedClock } from "../timer/guarded_clock.ts";
import { LedgerType, PROCESS_PREFIX } from "../ledger_type.ts";
import { Agenda } from "./agenda.ts";
import { Delivery } from "./delivery.ts";
import { Errands } from "./errands.ts";
import { type WatchedProcesses, watchProcesses } from "./gauges.ts";
import { type InputDecider, inputDecider } from "./inputs.ts";
import { Intake } from "./intake.ts";
import { ledger, type LedgerChange, type ParkedAt, ReactionFailure } from "./ledger.ts";
import {
  checkManager,
  type ProcessDescription,
  type ProcessManagerOptions,
} from "./manager_options.ts";
import { type ParkedProcess, ParkedProcesses } from "./parked.ts";
import { allParked, parkedBy } from "./parked_histories.ts";
import { targetsAsGiven } from "./targets.ts";

/**
 * The projections that a manager runs by, of what it is given and of what it has issued; `undefined` for
 * anything else; not for users.
 */
export function projectionsOf(value: object): readonly Projection<undefined>[] | undefined {
  return projectionsBy.get(value);
}

const projectionsBy = new WeakMap<object, readonly Projection<undefined>[]>();

/**
 * Runs the processes of one kind. Each input of a process is taken in one commit on the process's
 * own history: its facts, the commands that it issues, and the input's id, so that it is decided
 * once, however often it is delivered. Commands go out after the commit under the ids that are stored,
 * as often as it takes; the outcome of each comes back as an input, once.
 *
 * If a program crashes between any two steps, issued commands that are not settled go out again.
 * While the store or a receiver is out of reach, the manager waits. A process whose code throws is
 * parked, by itself.
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
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
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
  readonly #store: EventStore;
  readonly #decider: InputDecider<State, Input>;
  readonly #intake: Intake<State, Input>;
  readonly #inbox: Projection<undefined, Input>;
  readonly #outbox: Projection<undefined>;
  readonly #agenda: Agenda;
  readonly #parked: ParkedProcesses;
  readonly #watched: WatchedProcesses;
  readonly #delivery: Delivery<State, Input>;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  /**
   * Does nothing yet: every method but `run` works without running it.
   *
   * @throws {RangeError} An option or the name is out of its range, or no actor can have the category
   * of a decider.
   * @throws {TypeError} `from` or another option is missing, or of another kind.
   */
  constructor(options: ProcessManagerOptions<State, Input, Fact>) {
    checkManager(options);
    const { process, store, leases, filter, from, retry, partitions = 16 } = options;
    const { trace = "child" } = options;
    const { name } = process;
    // The names of its checkpoints end with a ":" and a word.
    const problem = tokenProblem(name) ?? (/[-:]/.test(name) ? "has a - or a :" : undefined);
    if (problem !== undefined) {
      throw new RangeError(`Cannot manage processes: the name ${JSON.stringify(name)} ${problem}`);
    }
    if (from === undefined) {
      throw new TypeError(`Cannot manage "${name}": from is missing, and has no default`);
    }
    for (const target of Object.keys(options.deciders ?? {})) {
      checkCategory(target, `manage "${name}" with a decider for category`);
    }
    this.name = name;
    this.category = `${PROCESS_PREFIX}${name}`;
    this.#store = store;
    const targets = targetsAsGiven(options);
    const { category } = this;
    const decider = this.#decider = inputDecider(process, targets);
    const checkpoints = withoutTransactions(options.checkpoints);
    const what = `the manager of "${name}"`;
    const warn = (error: unknown) => print("warn", `${what} goes on after a failure:`, error);
    const onError = guarded<RecordedEvent>(
      `onError of ${what}`,
      options.onError?.bind(options) ?? warn,
    );
    const shared = { store, checkpoints, partitions, onError, ...(leases && { leases }) };
    const inbox: InnerProjectionOptions<undefined, Input> = {
      ...shared,
      ...{ name: category, from, trace, ...(filter && { filter }), ...(retry && { retry }) },
      ...(options.onPoison !== undefined && { onPoison: options.onPoison }),
      handler: (event, { signal }) => this.#delivery.deliver(event, signal),
    };
    const { failure } = checkProjection(inbox);
    this.#inbox = new Projection(inbox);
    const clock = options.clock === undefined
      ? new ServerClock(positionsOf(store))
      : new GuardedClock(options.clock);
    const key = `${category}:agenda`;
    const { identity } = store;
    this.#parked = new ParkedProcesses(
      checkpoints,
      `${category}:parked`,
      identity,
      (cause, signal) => {
        onError(cause);
        return allParked(store, category, signal);
      },
    );
    const parts = { store, category, retry: failure, trace, onError };
    const intake = this.#intake = new Intake({ ...parts, decider, clock, targets });
    this.#delivery = new Delivery({
      ...{ store, category, process, intake, onError, filter: filterAsGiven(filter ?? {}) },
      isWaiting: async (actorId, sequence) =>
        (await this.#inbox.parked()).some((it) =>
          it.actorId === actorId && it.sequence <= sequence
        ),
    });
    const errands = new Errands({ ...parts, intake, targets });
    const agenda = this.#agenda = new Agenda({
      ...{ store, checkpoints, key, category, clock, onError },
      work: (item, signal) => errands.run(item, signal),
    });
    this.#watched = {
      clock,
      earliest: () => agenda.earliest,
      parked: async () => (await this.parked()).length,
    };
    const outbox: InnerProjectionOptions<undefined, Event> = {
      ...shared,
      ...{ name: key, filter: { category }, retry: { attempts: Infinity } },
      trace: "off", // Its handler only takes note.
      onHeld: async (held) => {
        this.#parked.forget();
        await agenda.take(held);
      },
      handler: async (event, { partition, signal }) => {
        agenda.see(event, partition);
        await this.#list(event, signal).catch((error) => {
          // A list that is too long for its store must hold up no process.
          if (!isAetherError(error, "StoreRefusedError")) throw error;
          onError(error, event);
        });
      },
    };
    this.#outbox = new Projection(outbox);
    projectionsBy.set(this, [this.#inbox as Projection<undefined>, this.#outbox]);
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
   * @throws {PoisonEventError} `correlate` threw, and its events are not parked; or the store refuses
   * to go on.
   * @throws {CorruptEventError} An event cannot be read, and is not parked; or a message belongs to no
   * actor: see {@linkcode ProcessManager.skip}.
   * @throws {UnknownSchemaError} Newer code saved an event, and it is not parked.
   * @throws {StreamRegressedError} The store has lost handled events, or is another one: see
   * {@linkcode ProcessManager.resumeAt}.
   * @throws {CheckpointConflictError} Another process runs it, and it has no leases.
   * @throws {TypeError} It is running already, or disposed.
   */
  async run({ signal }: ProjectionWaitOptions = {}): Promise<void> {
    if (this.#running !== undefined || this.#stop.signal.aborted) {
      throw new TypeError(`Cannot run the manager of "${this.name}": it is running or disposed`);
    }
    const ends = new AbortController();
    const own = AbortSignal.any([ends.signal, this.#stop.signal]);
    const stop = either(own, signal, `run the manager of "${this.name}"`);
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
    const unwatch = watchProcesses(this.name, this.#watched);
    try {
      await running;
    } finally {
      await unwatch();
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

  /**
   * The actor that is the history of a process.
   *
   * @throws {RangeError} No process can have this id.
   */
  actorOf(id: string): string {
    const actorId = `${this.category}-${id}`;
    const problem = tokenProblem(id) ?? tokenProblem(actorId);
    if (problem === undefined) return actorId;
    throw new RangeError(`Cannot find a process of "${this.name}" by its id: it ${problem}`);
  }

  /**
   * The state of a process, and the things that it waits for.
   *
   * @throws {RangeError} No process can have this id.
   */
  async describe(id: string): Promise<ProcessDescription<State>> {
    const store = this.#store;
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
    return this.#parked.list(this.#stop.signal);
  }

  /** The actors whose events wait because one of them cannot be read or correlated. */
  parkedActors(): Promise<ParkedActor[]> {
    return this.#inbox.parked();
  }

  /** Tries the waiting events of an actor again; see {@linkcode Projection.unpark}. */
  unpark(actorId: string, options: ProjectionWaitOptions = {}): Promise<boolean> {
    return this.#inbox.unpark(actorId, options);
  }

  /**
   * Passes over a message that belongs to no actor, in all processes: among the events that they are
   * given, or in their own histories; see {@linkcode Projection.skip}.
   *
   * @throws {RangeError} No such message is at this position.
   */
  async skip(sequence: number): Promise<void> {
    const both = await Promise.allSettled([
      this.#inbox.skip(sequence),
      this.#outbox.skip(sequence),
    ]);
    const failures = both.flatMap((it) => it.status === "rejected" ? [it.reason as unknown] : []);
    // The message has to be in the way of one of them only.
    const other = failures.find((error) => !(error instanceof RangeError));
    if (other !== undefined) throw other;
    if (failures.length === both.length) throw failures[0];
  }

  /**
   * Lets a parked process go on: gives it the events that it has missed, in order, then its
   * outcomes. For that it reads the store from the input that failed. True if all events were
   * taken; false if one failed again, so that the process stays parked. It also stays parked if
   * this ends early: then call it again. An event that comes just when it ends may be taken before
   * the last ones that were missed.
   *
   * An event that cannot be read or correlated is passed over if its actor is parked: it waits with
   * the later ones of the actor, see {@linkcode ProcessManager.unpark}. If it is not, such as while
   * a key service is away, the process stays parked, and this tells `onError` and gives false.
   *
   * @throws {RangeError} No process can have this id.
   */
  async retry(id: string, { signal }: ProjectionWaitOptions = {}): Promise<boolean> {
    const stop = either(this.#stop.signal, signal, "retry the process");
    const store = this.#store;
    const actorId = this.actorOf(id);
    const isThrough = await unlessStuck(stop, this.#delivery.retry(id, stop));
    if (isThrough) {
      const look = () => parkedBy(store, actorId, 0, stop);
      await unlessStuck(stop, this.#parked.update(id, look, stop));
    }
    return isThrough;
  }

  /**
   * Ends a process by hand: later inputs are taken without effect. Open commands still go out. While
   * the store is out of reach, it waits.
   *
   * @throws {StoreUnavailableError} The connection is closed.
   * @throws {RangeError} No process can have this id.
   */
  async end(id: string, { reason }: { readonly reason?: string } = {}): Promise<void> {
    const change: LedgerChange = { kind: "end", ...(reason !== undefined && { reason }) };
    this.actorOf(id); // Another id would begin a history that no event belongs to.
    await this.#intake.change(id, change, this.#stop.signal);
  }

  /** Ends it, after the work at hand; may be repeated. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException(`The manager of "${this.name}" is disposed`, "AbortError"));
    await this.#running?.catch(() => {}); // run() rejects with it.
    await this.#inbox[Symbol.asyncDispose]();
    await this.#outbox[Symbol.asyncDispose]();
  }

  /** Keeps the list of parked processes. */
  async #list({ actorId, eventType, data, version }: Event, signal: AbortSignal): Promise<void> {
    const id = actorId.slice(this.category.length + 1);
    const look = () => parkedBy(this.#store, actorId, version, signal);
    if (eventType === LedgerType.parked) {
      if ((data as ParkedAt).resuming) return; // It is in the list.
      await this.#parked.update(id, look, signal);
    } else if (eventType === LedgerType.unparked || eventType === LedgerType.ended) {
      await this.#parked.remove(id, look, signal);
    }
  }
}
