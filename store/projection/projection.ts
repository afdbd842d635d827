import { Notifier } from "../base/notifier.ts";
import type { Event } from "../event.ts";
import { type ProjectionLag, statesOf, unhandled } from "./lag.ts";
import { leaseParts, type ProjectionLeases } from "./leases.ts";
import { ProjectionCheckpoints } from "./checkpoints.ts";
import { type ProjectionMetrics, ProjectionMonitor } from "./monitor.ts";
import {
  checkProjection,
  type ProjectionOptions,
  type ProjectionRebuildOptions,
  type ProjectionStatus,
  type ProjectionWaitOptions,
} from "./options.ts";
import { Runner, type SharedParts } from "./runner.ts";
import type { KeptParked, ParkedActor, ProjectionControl } from "./state.ts";
import { ProjectionWorker } from "./worker.ts";

/**
 * A named, durable subscription that feeds a handler and keeps a checkpoint, so that it goes on
 * where it was. Each actor's events are handled in the order of the store, one at a time; those
 * of one partition (of all, unless `partitions` says otherwise) too.
 *
 * With a checkpoint store that has transactions the effects of an event and the position after
 * it come to pass together or not at all: exactly once. With any other one events are handled
 * at least once: after a crash, those since the last save again, at most one batch;
 * `event.sequence` tells them.
 *
 * No event is ever skipped in silence: one that cannot be handled halts the projection, or is
 * parked with the later ones of its actor, as `onPoison` says; a store that was restored, has
 * lost its tail, or is another one, is `StreamRegressedError`.
 *
 * What is told to one process (pause, resume, unpark, rebuild) holds for all that run the
 * projection, and for those that will: it stands in the checkpoint store.
 *
 * @typeParam Tx What the checkpoint store's transactions are written through.
 * @typeParam E What the store holds, by the caller's own word.
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
 * await using store = new InMemoryEventStore();
 * let orders = 0;
 * await using projection = new Projection({
 *   name: "order-count",
 *   store,
 *   checkpoints: new InMemoryCheckpointStore(),
 *   filter: { category: "order", eventTypes: ["OrderPlaced"] },
 *   handler: () => void orders++,
 * });
 * const running = projection.run(); // rejects where the projection halts
 * const order = { eventType: "OrderPlaced", actorId: "order-123", version: 1 };
 * await store.saveEvent(createEvent({ ...order, data: { total: 99.99 } }));
 * await projection.caughtUp;
 * console.log(orders); // 1
 * await projection[Symbol.asyncDispose]();
 * await running;
 * ```
 */
export class Projection<Tx = undefined, E extends Event = Event> implements AsyncDisposable {
  /** Tells it from other projections with the same checkpoint store. */
  readonly name: string;
  readonly #parts: SharedParts<Tx, E>;
  readonly #checkpoints: ProjectionCheckpoints<Tx>;
  readonly #leases: ProjectionLeases | undefined;
  readonly #monitor: ProjectionMonitor;
  readonly #partitions: number;
  readonly #progress = new Notifier();
  readonly #stop = new AbortController();
  #running: { readonly runner: Runner<Tx, E>; readonly done: Promise<void> } | undefined;

  /**
   * Does nothing yet: one that is not run can still be asked, and told what to do.
   *
   * @throws {RangeError} An option is out of its range.
   */
  constructor(options: ProjectionOptions<Tx, E>) {
    const { name, checkpoints, leases } = options;
    this.name = name;
    this.#monitor = new ProjectionMonitor(name);
    this.#leases = leases;
    this.#checkpoints = new ProjectionCheckpoints(checkpoints, name);
    const checked = checkProjection(options);
    this.#partitions = checked.partitions;
    const shared = {
      checkpoints: this.#checkpoints,
      monitor: this.#monitor,
      progress: this.#progress,
    };
    this.#parts = { ...checked, ...shared };
  }

  /** What it has done in this process since it was made. */
  get metrics(): ProjectionMetrics {
    return this.#monitor.snapshot();
  }

  /**
   * Runs the projection, until `signal` is aborted or it is disposed; resolves when the event at
   * hand is handled and the position saved.
   *
   * @throws {PoisonEventError} It has halted at an event that cannot be handled.
   * @throws {StreamRegressedError} The store has lost what was handled, or is another one.
   * @throws {CorruptEventError} A stored message is not an event.
   * @throws {CheckpointConflictError} Another process runs the projection, and it has no leases.
   * @throws {TypeError} It is running already, or disposed.
   */
  async run({ signal }: ProjectionWaitOptions = {}): Promise<void> {
    if (this.#running !== undefined || this.#stop.signal.aborted) {
      const why = this.#stop.signal.aborted ? "is disposed" : "is running already";
      throw new TypeError(`Cannot run projection "${this.name}": it ${why}`);
    }
    const own = this.#stop.signal;
    const stop = signal === undefined ? own : AbortSignal.any([signal, own]);
    const share = this.#leases && new ProjectionWorker(
      this.name,
      leaseParts(this.#leases),
      () => runner.poke(),
      this.#parts.onError,
    );
    const runner = new Runner(this.#parts, share, stop);
    const done = runner.run();
    this.#running = { runner, done };
    try {
      await done;
    } finally {
      this.#running = undefined;
      this.#progress.notify();
    }
  }

  /**
   * Resolves when all that was stored at the time of asking is handled or parked, by whichever
   * process; asked anew, it is about what is stored by then. Rejects when the projection is
   * disposed. Nobody needs to await it.
   */
  get caughtUp(): Promise<void> {
    const caughtUp = this.#catchUp();
    caughtUp.catch(() => {}); // Whoever awaits it hears of it.
    return caughtUp;
  }

  /**
   * Stops handling, in all processes, until {@linkcode Projection.resume}; resolves when this
   * one has stopped, after the event at hand. Others follow within the second.
   */
  async pause(): Promise<void> {
    await this.#change((control) => control.paused ? control : { ...control, paused: true });
    await this.#until(() => (this.#running?.runner.running ?? 0) === 0 || undefined);
  }

  /** Goes on handling, in all processes. */
  async resume(): Promise<void> {
    await this.#change((control) => control.paused ? { ...control, paused: false } : control);
  }

  /** How the projection stands, for all processes. */
  async status(): Promise<ProjectionStatus> {
    const { active, next, paused } = await this.#control();
    const positions = (await statesOf(this.#parts, active)).map(({ sequence }) => sequence);
    return { version: active.version, rebuilding: next?.version, paused, positions };
  }

  /**
   * How far the active version is behind the store: in events that match the filter, which are
   * read to be counted, and in seconds. What is parked is not in it.
   *
   * @throws {StreamRegressedError} The checkpoints are about another store.
   */
  async lag({ signal }: ProjectionWaitOptions = {}): Promise<ProjectionLag> {
    const { active } = await this.#control();
    const { events, oldest } = await unhandled(this.#parts, active, signal && { signal });
    const seconds = oldest === undefined ? 0 : Math.max(0, (Date.now() - oldest.getTime()) / 1000);
    return { events, seconds };
  }

  /** The actors whose events wait, since one of them could not be handled. */
  async parked(): Promise<ParkedActor[]> {
    const { active } = await this.#control();
    const parked = await this.#parkedIn(active);
    return parked.map(({ answered: _, ...actor }) => actor);
  }

  /**
   * Tries the parked events of an actor again, in order, in the process that runs its partition,
   * and waits for that; afterwards its later events are handled as those of any other. False if
   * an event failed again, and waits with those after it; true if none waits any more.
   */
  async unpark(actorId: string, { signal }: ProjectionWaitOptions = {}): Promise<boolean> {
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
      return await this.#until(async () => {
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
   * Builds a new version from the store's first event, beside the one that runs: its handler is
   * told the new version, so that it can write somewhere else. When it has caught up, it takes
   * the place of the running one; `onSwitch` is called with that. Resolves with the number of the
   * version that is read from then on, when the one before has ended in this process.
   *
   * Any process that runs the projection takes part, and goes on with it whatever becomes of
   * this one. The new version has `partitions` as they are in this process's options.
   *
   * @throws {Error} The new version was given up, for it could not go on: the running one does.
   * @throws {TypeError} A rebuild is under way already.
   */
  async rebuild(
    { switch: when = "caught-up", signal }: ProjectionRebuildOptions = {},
  ): Promise<number> {
    let version = 0;
    const begin = (control: ProjectionControl): ProjectionControl => {
      const { next, failed: _, ...rest } = control;
      if (next !== undefined && when !== "now") {
        throw new TypeError(
          `Cannot rebuild projection "${this.name}": version ${next.version} is being built`,
        );
      }
      version = rest.latest + 1;
      const made = { version, partitions: this.#partitions };
      return { ...rest, latest: version, ...(when === "now" ? { active: made } : { next: made }) };
    };
    if (when === "now") {
      const { onSwitch } = this.#parts;
      await this.#change(begin, ({ active }, tx) => onSwitch(active.version, tx));
      return version;
    }
    await this.#change(begin);
    return await this.#until(async () => {
      const { active, next, failed } = await this.#control();
      if (active.version >= version) {
        return this.#running?.runner.isRunningBefore(version) ? undefined : version;
      }
      if (next?.version === version) return undefined;
      const why = failed?.version === version ? failed.reason : "another one took its place";
      throw new Error(`Cannot rebuild projection "${this.name}" as version ${version}: ${why}`);
    }, signal);
  }

  /** Ends it, after the event at hand, and what waits for it; may be repeated. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException(`Projection "${this.name}" is disposed`, "AbortError"));
    await this.#running?.done.catch(() => {}); // run() rejects with it.
  }

  #control(): Promise<ProjectionControl> {
    return this.#checkpoints.control(this.#partitions);
  }

  async #change(
    change: (control: ProjectionControl) => ProjectionControl,
    also?: (control: ProjectionControl, tx: Tx) => void | Promise<void>,
  ): Promise<void> {
    await this.#checkpoints.change(this.#partitions, change, also);
    this.#running?.runner.poke();
  }

  async #parkedIn(version: ProjectionControl["active"]): Promise<KeptParked[]> {
    return (await statesOf(this.#parts, version)).flatMap(({ parked }) => parked);
  }

  async #catchUp(): Promise<void> {
    const { active } = await this.#control();
    const { last } = await unhandled(this.#parts, active, { signal: this.#stop.signal });
    await this.#until(async () => {
      const { active: { version } } = await this.#control();
      if (version !== active.version) return await this.#catchUp().then(() => true);
      const states = await statesOf(this.#parts, active);
      return states.every(({ sequence }, at) => sequence >= last[at]!) || undefined;
    });
  }

  /** What `look` gives as soon as it gives something; it looks again at progress and each `poll`. */
  async #until<T>(
    look: () => T | undefined | Promise<T | undefined>,
    signal?: AbortSignal,
  ): Promise<T> {
    const own = this.#stop.signal;
    const end = signal === undefined ? own : AbortSignal.any([own, signal]);
    return await this.#progress.until(look, this.#parts.poll, end);
  }
}
