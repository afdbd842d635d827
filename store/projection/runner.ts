import { unlessStuck } from "../base/abort.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { Notifier } from "../base/notifier.ts";
import { sleep } from "../base/sleep.ts";
import { type FailedEvent, isAetherError, type PoisonEventError } from "../errors.ts";
import type { Event } from "../event.ts";
import { isClosed } from "../nats/failure.ts";
import type { ProjectionCheckpoints } from "./checkpoints.ts";
import { type PartitionParts, PartitionRun } from "./partition.ts";
import { PartitionOwner } from "./partition_owner.ts";
import { ProjectionReader } from "./reader.ts";
import { advanceRebuild } from "./rebuild.ts";
import {
  type PartitionId,
  type ProjectionControl,
  type ProjectionVersion,
  shortReason,
} from "./state.ts";

/** The shortest and the longest span before a checkpoint store is tried again, in ms. */
const WAITS = [20, 5_000] as const;

/**
 * How long a stop waits for each of the last requests of a share, in ms: one that is sent has its
 * effect without that, and a server that is out of reach must not hold a stop up.
 */
export const FAREWELL = 500;

/** The parts that all partitions of a projection share. */
export type SharedParts<Tx, E extends Event> =
  & Omit<
    PartitionParts<Tx, E>,
    | "partitionId"
    | "owner"
    | "reader"
    | "retries"
    | "isBuilt"
    | "signal"
    | "onCaughtUp"
    | "onRetired"
  >
  & {
    readonly checkpoints: ProjectionCheckpoints<Tx>;
    /** Called before anything runs; gives the error that prevents it. */
    readonly onBegin: () => Promise<Error | undefined>;
    /** Names the filter of this process. */
    readonly filterName: string;
    /** The most events that are handled at once. */
    readonly batch: number;
    /** Partitions of a version that begins. */
    readonly partitions: number;
    /** How often it checks for changes by other processes, in ms. */
    readonly poll: number;
    /** Notified of all changes that callers may wait for. */
    readonly progress: Notifier;
    readonly onSwitch: (version: number, tx: Tx) => void | Promise<void>;
    /** Why versions were given up in this process. */
    readonly givenUp: Map<number, unknown>;
  };

/** Decides which partitions this process runs. */
export interface Share {
  /**
   * Those of `partitionIds` that this process should run; `held` are the ones that run here, and `left`
   * the versions that it leaves to others.
   */
  of(
    partitionIds: readonly PartitionId[],
    held: readonly PartitionId[],
    left: readonly number[],
  ): Promise<readonly PartitionId[]>;
  /** Called when a partition no longer runs here. */
  release(partitionId: PartitionId): Promise<void>;
  /** Called when nothing runs here any more. */
  leave(): Promise<void>;
}

/** A partition that runs here. */
interface Running<Tx, E extends Event> {
  readonly partitionId: PartitionId;
  readonly run: PartitionRun<Tx, E>;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** Runs this process's share of the partitions, by the control that all processes share. */
export class Runner<Tx, E extends Event> {
  readonly #parts: SharedParts<Tx, E>;
  readonly #share: Share | undefined;
  readonly #running = new Map<string, Running<Tx, E>>();
  /** Those of `#running` that have ended because their version is retired. */
  readonly #retired = new Set<string>();
  /** Those of `#running` that are given up, until they have ended. */
  readonly #ending = new Map<string, Promise<void>>();
  /** Whether a version came, while this process runs, with another filter than the one here. */
  readonly #foreign = new Map<number, boolean>();
  readonly #readers = new Map<number, ProjectionReader<E>>();
  readonly #changed = new Notifier();
  readonly #stop: AbortSignal;
  #poked = false;
  #retries: Readonly<Record<string, string>> = {};
  #skipped: ReadonlySet<number> = new Set();
  /** The version that is built beside the active one. */
  #built: number | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** Ends with `stop`. */
  constructor(parts: SharedParts<Tx, E>, share: Share | undefined, stop: AbortSignal) {
    this.#parts = parts;
    this.#share = share;
    this.#stop = stop;
  }

  /** How many partitions run here. */
  get running(): number {
    return this.#running.size;
  }

  /** Whether a partition of an older version runs here. */
  isRunningBefore(version: number): boolean {
    return [...this.#running.values()].some(({ partitionId }) => partitionId.version < version);
  }

  /** Makes it check the control now. */
  poke(): void {
    this.#poked = true;
    this.#changed.notify();
  }

  /** Resolves when it was stopped; rejects with the error that ends a partition. */
  async run(): Promise<void> {
    const { checkpoints, partitions, poll, onError, onBegin, progress } = this.#parts;
    let isBegun = false;
    try {
      while (!this.#stop.aborted && this.#failure === undefined) {
        this.#poked = false;
        let pause = poll;
        try {
          // A checkpoint store, or onSwitch, may never answer.
          if (!isBegun) {
            const error = await unlessStuck(this.#stop, onBegin());
            isBegun = true;
            if (error !== undefined) {
              this.#failure = { error };
              break;
            }
          }
          const control = await unlessStuck(this.#stop, checkpoints.control(partitions));
          await this.#reconcile(control);
          const isForeign = control.next !== undefined && this.#isForeign(control.next);
          if (!control.paused && !isForeign) {
            pause = await unlessStuck(this.#stop, advanceRebuild(this.#parts, control)) ?? poll;
          }
        } catch (error) {
          if (this.#stop.aborted && error === this.#stop.reason) break;
          // Nothing will bring the connection back.
          if (isFinal(error)) {
            this.#failure ??= { error };
          } else onError(error);
        }
        if (!this.#poked && this.#failure === undefined) {
          await this.#changed.wait(pause, this.#stop);
        }
      }
    } finally {
      await Promise.all([...this.#running].map(([key, it]) => this.#end(key, it)));
      await Promise.all(this.#ending.values());
      await this.#share?.leave();
      progress.notify();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Begins and ends partitions until the wanted ones run. */
  async #reconcile(control: ProjectionControl): Promise<void> {
    const { checkpoints, store, onError } = this.#parts;
    this.#retries = control.retries;
    this.#built = control.next?.version;
    this.#skipped = new Set(control.skipped?.map(({ sequence }) => sequence));
    const versions = [control.active, ...(control.next === undefined ? [] : [control.next])];
    const left = versions.filter((version) => this.#isForeign(version));
    const partitionIds = control.paused
      ? []
      : versions.filter((version) => !left.includes(version)).flatMap(partitionIdsOf);
    const held = [...this.#running.values()].map(({ partitionId }) => partitionId);
    const wanted = this.#share === undefined ? partitionIds : await unlessStuck(
      this.#stop,
      this.#share.of(partitionIds, held, left.map(({ version }) => version)),
      FAREWELL,
    );
    const keys = new Map(wanted.map((partitionId) => [partitionKey(partitionId), partitionId]));
    for (const [key, it] of this.#running) {
      // A handler may never come back: the other partitions do not wait for it.
      if (keys.has(key) || this.#ending.has(key)) continue;
      this.#end(key, it).catch(onError).finally(() => this.poke());
    }
    // Those of a version before end first.
    const isClear = !this.isRunningBefore(control.active.version);
    const only = control.next === undefined ? control.active.version : undefined;
    for (const [key, partitionId] of keys) {
      if (this.#ending.has(key)) continue;
      if (this.#retired.has(key) && partitionId.version === only) {
        // A version that was to replace it was given up after it was retired.
        await unlessStuck(this.#stop, checkpoints.revive(partitionId, store.identity));
        this.#retired.delete(key);
        this.#running.delete(key);
      }
      const running = this.#running.get(key);
      if (running !== undefined) running.run.poke();
      else if (isClear) this.#begin(key, partitionId);
    }
  }

  /**
   * Whether this process leaves a version to the processes with its filter: the version would lack the
   * events that the filter here leaves out. The process goes on with the version that is read when it
   * begins.
   */
  #isForeign({ version, filter }: ProjectionVersion): boolean {
    const known = this.#foreign.get(version);
    if (known !== undefined) return known;
    const { name, filterName, onError } = this.#parts;
    const isFirst = this.#foreign.size === 0;
    const isForeign = !isFirst && filter !== undefined && filter !== filterName;
    this.#foreign.set(version, isForeign);
    if (isForeign) {
      onError(
        new Error(
          `Cannot run version ${version} of projection "${name}" here: another process began it ` +
            "with another filter; run it where the filter is that one, or call rebuild() here",
        ),
      );
    }
    return isForeign;
  }

  #begin(key: string, partitionId: PartitionId): void {
    const { name, checkpoints, store, onError, progress } = this.#parts;
    const stop = new AbortController();
    const { signal } = stop;
    const { identity } = store;
    const owner = new PartitionOwner({
      name,
      partitionId,
      checkpoints,
      identity,
      signal,
      onError,
      progress,
    });
    const retries = () => this.#retries;
    const isBuilt = () => this.#built === partitionId.version;
    const onCaughtUp = () => this.poke();
    const reader = this.#readerOf(partitionId);
    const onRetired = () => this.#noteRetired(key);
    const own = { partitionId, owner, reader, retries, isBuilt, signal, onCaughtUp, onRetired };
    const run = new PartitionRun({ ...this.#parts, ...own });
    const done = run.run()
      // Also where another process has taken it over: whatever goes with it here has to end.
      .finally(() => stop.abort())
      .catch((error) => this.#failed(key, partitionId, error))
      .finally(() => run.settled());
    this.#running.set(key, { partitionId, run, stop, done });
  }

  #noteRetired(key: string): void {
    this.#retired.add(key);
    this.poke();
  }

  /** One for all partitions of a version. */
  #readerOf({ version, of }: PartitionId): ProjectionReader<E> {
    const { store, filter, batch, onError } = this.#parts;
    const isSkipped = (sequence: number) => this.#skipped.has(sequence);
    const reader = this.#readers.get(version) ??
      new ProjectionReader<E>({
        ...{ store, filter, of, size: batch, isSkipped },
        onWaiting: (error) => onError(error),
      });
    this.#readers.set(version, reader);
    return reader;
  }

  /** Ends a partition, once, however often it is called. */
  #end(key: string, running: Running<Tx, E>): Promise<void> {
    const ending = this.#ending.get(key) ??
      this.#endOf(key, running).finally(() => this.#ending.delete(key));
    this.#ending.set(key, ending);
    return ending;
  }

  async #endOf(key: string, { partitionId, stop, done }: Running<Tx, E>): Promise<void> {
    stop.abort();
    await done;
    this.#running.delete(key);
    this.#retired.delete(key);
    await this.#share?.release(partitionId);
    this.#parts.progress.notify();
  }

  async #failed(key: string, partitionId: PartitionId, error: unknown): Promise<void> {
    const { onError } = this.#parts;
    const nextWait = jitteredWaits(...WAITS);
    try {
      for (let isOver = false; !isOver;) {
        try {
          await unlessStuck(this.#stop, this.#takeFailure(key, partitionId, error));
          isOver = true;
        } catch (trouble) {
          // The meaning of the failure is open until the checkpoint store answers.
          if (this.#stop.aborted || isFinal(trouble)) throw trouble;
          onError(trouble);
          await sleep(nextWait(), this.#stop);
        }
      }
    } catch (trouble) {
      onError(trouble);
      this.#failure ??= { error };
    } finally {
      this.poke();
      this.#parts.progress.notify();
    }
  }

  /** Ends the projection, or the version that is built, or what runs of a partition that is lost. */
  async #takeFailure(key: string, partitionId: PartitionId, error: unknown): Promise<void> {
    const { checkpoints, partitions, onError } = this.#parts;
    const { active, next } = await checkpoints.control(partitions);
    if (isAetherError(error, "CheckpointConflictError")) {
      const { identity } = this.#parts.store;
      const { state } = await checkpoints.partition(partitionId, identity);
      if (state.retired) return this.#noteRetired(key);
      if (this.#share !== undefined || error.lost > 0) {
        // The share decides next who runs it: if no other process does, it begins again here.
        this.#running.delete(key);
        return onError(error);
      }
    }
    if (next?.version !== partitionId.version) {
      if (active.version === partitionId.version) this.#failure ??= { error };
      return;
    }
    // A failure of the version being built does not stop the running one.
    const isPoison = isAetherError(error, "PoisonEventError");
    const cause = isPoison ? error.cause : error;
    this.#parts.givenUp.set(partitionId.version, cause);
    await checkpoints.change(partitions, ({ next, ...control }) => {
      const failed = {
        version: partitionId.version,
        reason: shortReason(cause),
        ...(isPoison && { event: placeOf(error) }),
      };
      if (next === undefined) return control;
      return next.version === partitionId.version ? { ...control, failed } : { ...control, next };
    });
    onError(error);
  }
}

/** The partitions of a version. */
function partitionIdsOf({ partitions: of, ...version }: ProjectionVersion): PartitionId[] {
  return Array.from({ length: of }, (_, partition) => ({ ...version, partition, of }));
}

/** Whether nothing will bring the checkpoint store back, or make sense of what it keeps. */
function isFinal(error: unknown): boolean {
  return isClosed(error) || isAetherError(error, "CorruptCheckpointError") ||
    isAetherError(error, "StoreRefusedError");
}

function placeOf({ sequence, eventId, actorId }: PoisonEventError): FailedEvent {
  return { sequence, eventId, actorId };
}

function partitionKey({ version, partition }: PartitionId): string {
  return `${version}.${partition}`;
}
