import { either, unlessAborted, unlessStuck } from "../base/abort.ts";
import { asGiven, needSignal } from "../base/given.ts";
import { Notifier } from "../base/notifier.ts";
import { textOf } from "../base/text.ts";
import { RebuildFailedError } from "../errors.ts";
import type { Event } from "../event.ts";
import { isUnreadable } from "./arrival.ts";
import { type ProjectionLag, statesOf, unhandled, watchProjection } from "./lag.ts";
import { leaseParts, type ProjectionLeases } from "./leases.ts";
import { ProjectionCheckpoints } from "./checkpoints.ts";
import { digestOf, filterChange } from "./filter_change.ts";
import { type ProjectionMetrics, ProjectionMonitor } from "./monitor.ts";
import {
  beginningOf,
  checkParts,
  checkProjection,
  type ProjectionOptions,
  type ProjectionReachedOptions,
  type ProjectionRebuildOptions,
  type ProjectionStatus,
  type ProjectionWaitOptions,
} from "./options.ts";
import { Runner, type SharedParts } from "./runner.ts";
import type { KeptParked, ParkedActor, ProjectionControl } from "./state.ts";
import { ProjectionWaits } from "./waits.ts";
import { ProjectionWorker } from "./worker.ts";

/**
 * Begins a new version after position `after`, at once: without what the one before had parked; not
 * for users.
 */
export async function restartAfter<Tx, E extends Event>(
  projection: Projection<Tx, E>,
  after: number,
): Promise<void> {
  await restarts.get(projection as Projection<unknown>)!(after);
}

const restarts = new WeakMap<Projection<unknown>, (after: number) => Promise<void>>();

/** The checkpoints of a projection, to look at; `undefined` for anything else; not for users. */
export function checkpointsOf(value: object): ProjectionCheckpoints<unknown> | undefined {
  return checkpointsBy.get(value);
}

const checkpointsBy = new WeakMap<object, ProjectionCheckpoints<unknown>>();

/**
 * A named, durable subscription that feeds a handler and keeps a checkpoint, so that it goes on
 * where it stopped. It handles each actor's events in the order of the store, one at a time, and
 * those of one partition too (of the whole store, unless `partitions` is more than 1).
 *
 * With a checkpoint store that has transactions, the effects of an event and the position after
 * it are committed together or not at all: exactly once. With any other one, events are handled
 * at least once: after a crash, those since the last save again, at most one batch; recognise
 * them by `event.sequence`.
 *
 * It never skips an event silently: one that cannot be handled, or read, halts the projection, or
 * is parked with the later ones of its actor, as `onPoison` says. Events that its filter leaves out
 * need not be readable. If the store was restored, truncated or
 * replaced, it throws `StreamRegressedError`.
 *
 * A call to one process (pause, resume, unpark, rebuild) holds for all that run the projection, now
 * and later: the checkpoint store keeps it.
 *
 * @typeParam Tx The checkpoint store's transactions.
 * @typeParam E The events of the store, as the caller declares them; nothing checks this.
 *
 * @example Count orders
 * ```ts
 * import {
 *   createEvent,
 *   InMemoryCheckpointStore,
 *   InMemoryEventStore,
 *   Projection,
 * } from "@flowmade-one/aether";
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * let orders = 0;
 * await using projection = new Projection({
 *   name: "order-count",
 *   store,
 *   checkpoints: new InMemoryCheckpointStore(),
 *   filter: { category: "order", eventTypes: ["OrderPlaced"] },
 *   handler: () => void orders++,
 * });
 * const running = projection.run(); // rejects when the projection halts
 * const order = { eventType: "OrderPlaced", actorId: "order-123", version: 1 };
 * await store.saveEvent(createEvent({ ...order, data: { total: 99.99 } }));
 * await projection.caughtUp;
 * console.log(orders); // 1
 * await projection[Symbol.asyncDispose]();
 * await running;
 * ```
 */
export class Projection<Tx = undefined, E extends Event = Event> implements AsyncDisposable {
  /** Distinguishes it from other projections with the same checkpoint store. */
  readonly name: string;
  readonly #parts: SharedParts<Tx, E>;
  /** For calls: a store that never answers holds none of them up once this is disposed. */
  readonly #checkpoints: ProjectionCheckpoints<Tx>;
  /** For what runs here, which sees to that itself. */
  readonly #ofRunner: ProjectionCheckpoints<Tx>;
  readonly #leases: ProjectionLeases | undefined;
  readonly #monitor: ProjectionMonitor;
  readonly #partitions: number;
  /** Names the filter. */
  readonly #filter: string;
  readonly #onFilterChange: "warn" | "error" | "rebuild";
  readonly #waits: ProjectionWaits<Tx>;
  readonly #stop = new AbortController();
  /** Why this process has stopped running it. */
  #failure: { readonly error: unknown } | undefined;
  #running: { readonly runner: Runner<Tx, E>; readonly done: Promise<void> } | undefined;
  /** Removes its gauges, if it has some. */
  #unwatch: (() => Promise<void>) | undefined;

  /**
   * Does nothing yet: every method but `run` works without running it.
   *
   * @throws {RangeError} An option is out of its range.
   * @throws {TypeError} An option is missing, or of another kind.
   */
  constructor(given: ProjectionOptions<Tx, E>) {
    checkParts(given);
    const options = asGiven(given);
    const { name, store, checkpoints, leases, from, onFilterChange = "warn" } = options;
    this.name = name;
    this.#filter = digestOf(options.filter ?? {});
    this.#onFilterChange = onFilterChange;
    this.#monitor = new ProjectionMonitor(name, options.trace ?? "child");
    this.#leases = leases;
    const start = from instanceof Date ? new Date(from) : from; // The caller's may change.
    const begin = () => beginningOf(store, start);
    const keep = (stop?: AbortSignal) =>
      new ProjectionCheckpoints(checkpoints, name, begin, this.#filter, stop);
    this.#checkpoints = keep(this.#stop.signal);
    this.#ofRunner = keep();
    const checked = checkProjection(options);
    this.#partitions = checked.partitions;
    const shared = {
      onBegin: () => this.#settleFilter(),
      filterName: this.#filter,
      checkpoints: this.#checkpoints,
      monitor: this.#monitor,
      progress: new Notifier(),
      givenUp: new Map<number, unknown>(),
    };
    this.#parts = { ...checked, ...shared };
    this.#waits = new ProjectionWaits({
      ...this.#parts,
      stop: this.#stop.signal,
      control: () => this.#control(),
      isRunning: () => this.#running !== undefined,
      throwIfFailed: () => {
        if (this.#failure !== undefined) throw this.#failure.error;
      },
    });
    restarts.set(this as unknown as Projection<unknown>, (after) => this.#restartAfter(after));
    checkpointsBy.set(this, this.#checkpoints as ProjectionCheckpoints<unknown>);
  }

  async #restartAfter(sequence: number): Promise<void> {
    const { store: { identity } } = this.#parts;
    await this.#change(({ next: _, failed: __, ...control }) => {
      const version = control.latest + 1;
      const begin = { identity, sequence };
      const filter = this.#filter;
      const active = { version, partitions: this.#partitions, begin, filter };
      return { ...control, latest: version, active, retries: {} };
    });
  }

  /** Counts of its work in this process since it was made. */
  get metrics(): ProjectionMetrics {
    return this.#monitor.snapshot();
  }

  /**
   * Runs the projection, until `signal` is aborted or it is disposed; resolves when the event at
   * hand is handled and the position saved.
   *
   * @throws {PoisonEventError} It has halted at an event that cannot be handled.
   * @throws {StreamRegressedError} The store has lost handled events, or is another one.
   * @throws {CorruptEventError} An event cannot be read, and is not parked; or a message belongs to
   * no actor: see {@linkcode Projection.skip}.
   * @throws {UnknownSchemaError} Newer code saved an event, and it is not parked.
   * @throws {CheckpointConflictError} Another process runs the projection, and it has no leases.
   * @throws {TypeError} It is running already, or disposed; or its filter has changed, and
   * `onFilterChange` is `"error"`.
   */
  async run({ signal }: ProjectionWaitOptions = {}): Promise<void> {
    if (this.#running !== undefined || this.#stop.signal.aborted) {
      const why = this.#stop.signal.aborted ? "is disposed" : "is running already";
      throw new TypeError(`Cannot run projection "${this.name}": it ${why}`);
    }
    const stop = either(this.#stop.signal, signal, `run projection "${this.name}"`);
    const share = this.#leases && new ProjectionWorker(
      this.name,
      leaseParts(this.#leases),
      () => runner.poke(),
      this.#parts.onError,
    );
    const runner = new Runner({ ...this.#parts, checkpoints: this.#ofRunner }, share, stop);
    const done = runner.run();
    this.#running = { runner, done };
    this.#failure = undefined;
    this.#unwatch ??= watchProjection(this.#parts, async () => (await this.#control()).active);
    try {
      await done;
      await this.#endGauges();
    } catch (error) {
      this.#failure = { error };
      throw error;
    } finally {
      this.#running = undefined;
      this.#parts.progress.notify();
    }
  }

  /**
   * Resolves when all events that were stored when you read this property are handled or parked,
   * by any process. Each read gives a new promise. Rejects when the projection is disposed, and when
   * `run()` of this process rejects, with its error. Nobody needs to await it.
   *
   * If the projection is paused, or this process does not run it, and nothing is handled for 5 s,
   * `onError` is called once; after a minute, the promise rejects with a `TimeoutError`. From the
   * warning on, the wait keeps no process from ending.
   */
  get caughtUp(): Promise<void> {
    const caughtUp = this.#waits.caughtUp();
    caughtUp.catch(() => {}); // A caller that awaits it sees the error.
    return caughtUp;
  }

  /**
   * Resolves when all events up to position `sequence` are handled or parked, by any process: what
   * was saved there is then in the read model. No event need be at the position itself, and the
   * filter may leave it out. It looks after 5 ms, then ever more rarely, at least four times a second;
   * if this process handles the event, at once.
   *
   * Rejects when the projection is disposed, and when `run()` of this process rejects, with its
   * error; with a `TimeoutError` at the deadline.
   *
   * @param sequence The `sequence` of an event, of a receipt of a save, or of a result of `execute`.
   * @throws {RangeError} `sequence` is no position, or the deadline is out of its range.
   * @throws {StreamRegressedError} The checkpoints are about another store.
   *
   * @example Read what was just written
   * ```ts
   * import {
   *   appendEvents,
   *   InMemoryCheckpointStore,
   *   InMemoryEventStore,
   *   Projection,
   * } from "@flowmade-one/aether";
   *
   * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
   * const names = new Set<unknown>();
   * await using projection = new Projection({
   *   name: "names",
   *   store,
   *   checkpoints: new InMemoryCheckpointStore(),
   *   handler: ({ data }) => void names.add(data),
   * });
   * const running = projection.run();
   * const draft = { eventType: "UserRegistered", data: "Ada" };
   * const { sequence } = await appendEvents(store, "user-1", 0, [draft]);
   * await projection.reached(sequence);
   * console.log(names.has("Ada")); // true
   * await projection[Symbol.asyncDispose]();
   * await running;
   * ```
   */
  async reached(
    sequence: number,
    { signal, timeout = 10_000 }: ProjectionReachedOptions = {},
  ): Promise<void> {
    const what = `wait for projection "${this.name}"`;
    if (!Number.isSafeInteger(sequence) || sequence < 0) {
      throw new RangeError(`Cannot ${what}: ${textOf(sequence)} is no position`);
    }
    if (!(timeout >= 1 && timeout < 2 ** 31)) {
      throw new RangeError(`Cannot ${what}: timeout is ${timeout}, not from 1 to ${2 ** 31 - 1}`);
    }
    const late = new AbortController();
    const end = either(AbortSignal.any([late.signal, this.#stop.signal]), signal, what);
    const reason = new DOMException(
      `Projection "${this.name}" does not reach position ${sequence} within ${timeout} ms`,
      "TimeoutError",
    );
    const timer = setTimeout(() => late.abort(reason), timeout);
    try {
      // A store may be out of reach for longer than the caller has time.
      await unlessAborted(end, this.#waits.reached(sequence, end));
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Stops handling, in all processes, until {@linkcode Projection.resume}; resolves when this
   * process has stopped, after the event at hand. Others follow within a second.
   */
  async pause(): Promise<void> {
    await this.#change((control) => control.paused ? control : { ...control, paused: true });
    await this.#waits.until(() => (this.#running?.runner.running ?? 0) === 0 || undefined);
  }

  /** Goes on handling, in all processes. */
  async resume(): Promise<void> {
    await this.#change((control) => control.paused ? { ...control, paused: false } : control);
  }

  /** The status of the projection, for all processes. */
  async status(): Promise<ProjectionStatus> {
    const { active, next, paused, skipped = [] } = await this.#control();
    const positions = (await statesOf(this.#parts, active)).map(({ sequence }) => sequence);
    return { version: active.version, rebuilding: next?.version, paused, positions, skipped };
  }

  /**
   * How far the active version is behind the store: in events that match the filter, which it reads
   * to count them, and in seconds. Parked events do not count.
   *
   * @throws {StreamRegressedError} The checkpoints are about another store.
   */
  async lag({ signal }: ProjectionWaitOptions = {}): Promise<ProjectionLag> {
    needSignal(signal, "tell the lag");
    return await unlessStuck(signal, this.#lag(signal));
  }

  async #lag(signal: AbortSignal | undefined): Promise<ProjectionLag> {
    const { active } = await this.#control();
    const { events, oldest } = await unhandled(this.#parts, active, signal && { signal });
    const seconds = oldest === undefined ? 0 : Math.max(0, (Date.now() - oldest.getTime()) / 1000);
    return { events, seconds };
  }

  /** The actors whose events wait because one of them could not be handled. */
  async parked(): Promise<ParkedActor[]> {
    const { active } = await this.#control();
    const parked = await this.#parkedIn(active);
    return parked.map(({ answered: _, ...actor }) => actor);
  }

  /**
   * Tries the parked events of an actor again, in order, in the process that runs its partition,
   * and waits for that. True if none waits any more: later events of the actor are then handled like
   * any other's. False if an event failed again: it waits with those after it.
   * False too if the store has lost events that may be the actor's: it stays parked, and those behind
   * the loss wait, until the store is opened with `acceptedLosses`.
   *
   * If the projection is paused, or this process does not run it, and nothing is handled for 5 s,
   * `onError` is called once. From then on the wait keeps no process from ending.
   */
  async unpark(actorId: string, { signal }: ProjectionWaitOptions = {}): Promise<boolean> {
    needSignal(signal, "unpark the actor");
    return await unlessStuck(signal, this.#unpark(actorId, signal));
  }

  async #unpark(actorId: string, signal: AbortSignal | undefined): Promise<boolean> {
    const request = crypto.randomUUID();
    const waiting = async () => {
      const { active } = await this.#control();
      return (await this.#parkedIn(active)).find((it) => it.actorId === actorId);
    };
    if (await waiting() === undefined) return true;
    await this.#change((control) => ({
      ...control,
      retries: { ...control.retries, [actorId]: request },
    }));
    try {
      return await this.#waits.untilDone(`try "${actorId}" again`, async () => {
        const own = await waiting();
        return own === undefined ? true : own.answered === request ? false : undefined;
      }, signal);
    } finally {
      await this.#change(({ retries, ...control }) => {
        const { [actorId]: asked, ...others } = retries;
        return { ...control, retries: asked === request ? others : retries };
      });
    }
  }

  /**
   * Passes over a message that belongs to no actor: something else wrote it to the stream, and
   * `run()` has rejected with its position. Holds for all processes and versions, and
   * {@linkcode Projection.status} lists it; then call `run()` again. It takes nothing else: an event
   * that cannot be handled or read is parked with its actor, as `onPoison` says.
   *
   * @param sequence The message's position, as the error has it.
   * @throws {RangeError} No such message is at this position.
   */
  async skip(sequence: number): Promise<void> {
    const what = await this.#contentAt(sequence);
    if (what !== undefined) {
      throw new RangeError(
        `Cannot skip sequence ${sequence} in projection "${this.name}": ${what}`,
      );
    }
    await this.#change((control) => {
      const { skipped = [] } = control;
      if (skipped.some((it) => it.sequence === sequence)) return control;
      const since = new Date().toISOString();
      return { ...control, skipped: [...skipped, { sequence, since }] };
    });
  }

  /** The message at a position, unless it belongs to no actor. */
  async #contentAt(sequence: number): Promise<string | undefined> {
    const { store, filter } = this.#parts;
    try {
      for await (const event of store.readAll({ from: sequence, filter })) {
        if (event.sequence !== sequence) break;
        return `the event there belongs to "${event.actorId}"; it can be read`;
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      if (error.sequence === sequence) {
        return error.event && `the event there belongs to "${error.event.actorId}"; park it`;
      }
    }
    return "there is no message that its filter takes";
  }

  /**
   * Builds a new version from the store's first event, beside the one that runs: the handler gets
   * the new version's number, so that it can write somewhere else. When the new version has caught
   * up, it replaces the running one, and `onSwitch` is called. Resolves with the number of the
   * version to read from then on, when the one before has ended in this process.
   *
   * Any process with the same `filter` that runs the projection takes part, and goes on with it even
   * if this one ends; one with another filter tells `onError` of it, and leaves it to them, or
   * replaces it by a rebuild of its own. The new version has the `partitions` of this process's
   * options.
   *
   * A failure of the handler in the new version is not tried again, unless events are parked: the
   * first one gives the version up. If nobody builds it, `onError` is called as by
   * {@linkcode Projection.unpark}.
   *
   * @throws {RebuildFailedError} The new version was given up; the running one goes on.
   * @throws {TypeError} A rebuild with this filter is under way already, and `join` is not set.
   */
  async rebuild(options: ProjectionRebuildOptions = {}): Promise<number> {
    const { signal } = options;
    needSignal(signal, `rebuild projection "${this.name}"`);
    return await unlessStuck(signal, this.#rebuild(options));
  }

  async #rebuild(
    { switch: when = "caught-up", join = false, signal }: ProjectionRebuildOptions,
  ): Promise<number> {
    let version = 0;
    const begin = (control: ProjectionControl): ProjectionControl => {
      const { next, failed: _, ...rest } = control;
      if (next !== undefined && when !== "now" && join) {
        version = next.version;
        return control;
      }
      // One of another filter is left to others, who may be gone.
      const isOwn = next?.filter === undefined || next.filter === this.#filter;
      if (next !== undefined && when !== "now" && isOwn) {
        throw new TypeError(
          `Cannot rebuild projection "${this.name}": version ${next.version} is being built; join it`,
        );
      }
      version = rest.latest + 1;
      const made = this.#versionOf(version);
      return { ...rest, latest: version, ...(when === "now" ? { active: made } : { next: made }) };
    };
    if (when === "now") {
      const { onSwitch } = this.#parts;
      await this.#change(begin, ({ active }, tx) => onSwitch(active.version, tx));
      return version;
    }
    await this.#change(begin);
    return await this.#waits.untilDone(`build version ${version}`, async () => {
      const { active, next, failed } = await this.#control();
      if (active.version >= version) {
        return this.#running?.runner.isRunningBefore(version) ? undefined : version;
      }
      if (next?.version === version) return undefined;
      if (failed?.version !== version) {
        throw new RebuildFailedError(this.name, version, "another version replaced it");
      }
      const { reason, event } = failed;
      const { givenUp } = this.#parts;
      // A failure in another process is known by its text only.
      const cause = givenUp.has(version) ? givenUp.get(version) : new Error(reason);
      throw new RebuildFailedError(this.name, version, reason, { cause, event });
    }, signal);
  }

  /** Ends it, after the event at hand, and all calls that wait for it; may be repeated. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException(`Projection "${this.name}" is disposed`, "AbortError"));
    await this.#running?.done.catch(() => {}); // run() rejects with it.
    await this.#endGauges(); // One that has halted shows until then that it is behind.
  }

  async #endGauges(): Promise<void> {
    const unwatch = this.#unwatch;
    this.#unwatch = undefined;
    await unwatch?.();
  }

  #control(): Promise<ProjectionControl> {
    return this.#checkpoints.control(this.#partitions);
  }

  async #change(
    change: (control: ProjectionControl) => ProjectionControl,
    also?: (control: ProjectionControl, tx: Tx) => void | Promise<void>,
    checkpoints = this.#checkpoints,
  ): Promise<void> {
    await checkpoints.change(this.#partitions, change, also);
    this.#running?.runner.poke();
  }

  #versionOf(version: number): ProjectionControl["active"] {
    return { version, partitions: this.#partitions, filter: this.#filter };
  }

  /** Notices a filter that is not that of the version that is read; gives the error to end with. */
  async #settleFilter(): Promise<Error | undefined> {
    let isOther = false;
    await this.#change(
      (control) => {
        const { active, next, latest } = control;
        const known = { ...control, active: { ...active, filter: this.#filter } };
        isOther = active.filter !== this.#filter && active.filter !== undefined;
        if (active.filter === undefined) return known; // Older code has saved it.
        if (!isOther || this.#onFilterChange === "error") return control;
        if (this.#onFilterChange === "warn") return known;
        if (next?.filter === this.#filter) return control;
        const { failed: _, ...rest } = control;
        return { ...rest, latest: latest + 1, next: this.#versionOf(latest + 1) };
      },
      undefined,
      this.#ofRunner,
    );
    if (!isOther) return undefined;
    const change = filterChange(this.name);
    if (this.#onFilterChange === "error") {
      return new TypeError(`Cannot run projection "${this.name}": ${change}`);
    }
    const isBuilt = this.#onFilterChange === "rebuild";
    this.#parts.onError(new Error(isBuilt ? `${change}; a rebuild is under way` : change));
    return undefined;
  }

  async #parkedIn(version: ProjectionControl["active"]): Promise<KeptParked[]> {
    return (await statesOf(this.#parts, version)).flatMap(({ parked }) => parked);
  }
}
