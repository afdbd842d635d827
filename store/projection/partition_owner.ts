import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import type { Notifier } from "../base/notifier.ts";
import { CheckpointConflictError, isAetherError, StreamRegressedError } from "../errors.ts";
import type { SavedCheckpoint } from "./checkpoint_store.ts";
import type { ProjectionCheckpoints } from "./checkpoints.ts";
import type { PartitionState } from "./state.ts";

/** The shortest and the longest span before a checkpoint store is tried again, in ms. */
const WAITS = [20, 5_000] as const;

/** Thrown inside of a transaction to tell the handler's failure from the transaction's own. */
export class HandlerFailure extends Error {
  /** Keeps what the handler threw. */
  constructor(cause: unknown) {
    super("the handler failed", { cause });
  }
}

/** Which part of a projection. */
export interface PartitionId {
  readonly version: number;
  readonly partition: number;
  /** Into how many partitions the version divides the actors. */
  readonly of: number;
}

/** What the owner of a partition needs to know. */
export interface PartitionOwnerParts<Tx> {
  readonly name: string;
  readonly partitionId: PartitionId;
  readonly checkpoints: ProjectionCheckpoints<Tx>;
  /** The identity of the store whose events are handled. */
  readonly identity: string;
  /** Ends the waiting for a store that is out of reach. */
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
  /** Told of each save. */
  readonly progress: Notifier;
}

/**
 * The right to handle a partition: to save after the revision that was last seen.
 * A claim takes it from whoever had it, whose next save then fails.
 */
export class PartitionOwner<Tx> {
  readonly #parts: PartitionOwnerParts<Tx>;
  readonly #key: string;
  readonly #owner = crypto.randomUUID();
  #revision = 0;
  #state: PartitionState | undefined;
  #dirty = false;
  #savedAt = performance.now();

  /** Owns one partition, once it is claimed. */
  constructor(parts: PartitionOwnerParts<Tx>) {
    this.#parts = parts;
    const { checkpoints, partitionId } = parts;
    this.#key = checkpoints.keys.partition(partitionId.version, partitionId.partition);
  }

  /** How far the partition is, saved or about to be. */
  get state(): PartitionState {
    if (this.#state === undefined) throw new TypeError("the partition is not claimed");
    return this.#state;
  }

  /** The partition is this far; saved by the next save. */
  set state(state: PartitionState) {
    this.#state = state;
    this.#dirty = true;
  }

  /** The partition is this far, which needs no save of its own. */
  note(state: PartitionState): void {
    this.#state = state;
  }

  /** How long ago it was saved last, in ms. */
  get age(): number {
    return performance.now() - this.#savedAt;
  }

  /** Whether the store of checkpoints has transactions. */
  get transactional(): boolean {
    return this.#parts.checkpoints.store.transaction !== undefined;
  }

  /**
   * Takes the partition from whoever has it, unless the partition is retired.
   *
   * @throws {StreamRegressedError} What is saved is about the events of another store.
   */
  async claim(): Promise<void> {
    const { checkpoints, partitionId, identity } = this.#parts;
    await this.#persist(async () => {
      for (;;) {
        const { revision, state } = await checkpoints.partition(
          partitionId.version,
          partitionId.partition,
          identity,
        );
        this.#checkIdentity(state);
        this.#revision = revision;
        this.#state = { ...state, identity, owner: this.#owner };
        // An earlier try may have been saved, though nobody said so.
        if (state.retired || state.owner === this.#owner) return;
        const next = this.#textOf(this.#state);
        if (await checkpoints.store.save(this.#key, next)) return this.#saved(next);
      }
    });
  }

  /** Saves the state, if it has changed. */
  async save(): Promise<void> {
    if (!this.#dirty) return;
    const { store } = this.#parts.checkpoints;
    const next = this.#textOf(this.state);
    await this.#persist(async () => {
      if (!await store.save(this.#key, next)) await this.#findOwn(next);
    });
    this.#saved(next);
  }

  /**
   * Does `work` and saves the state as it is after that in one transaction.
   *
   * @throws {HandlerFailure} What `work` threw, as `cause`; nothing was saved.
   */
  async commit(after: PartitionState, work: (tx: Tx) => Promise<void>): Promise<void> {
    const { store } = this.#parts.checkpoints;
    const next = this.#textOf(after);
    const stale = new Error("stale");
    let tries = 0;
    await this.#persist(async () => {
      // An earlier try may have been committed, though nobody said so.
      if (tries++ > 0) {
        const standing = await store.load(this.#key);
        if ((standing?.revision ?? 0) !== this.#revision) return await this.#findOwn(next);
      }
      try {
        await store.transaction!(async (tx) => {
          try {
            await work(tx);
          } catch (error) {
            throw new HandlerFailure(error);
          }
          if (!await store.save(this.#key, next, tx)) throw stale;
        });
      } catch (error) {
        if (error !== stale) throw error;
        await this.#findOwn(next);
      }
    });
    this.#state = after;
    this.#saved(next);
  }

  #textOf(state: PartitionState): SavedCheckpoint {
    return { revision: this.#revision + 1, body: JSON.stringify(state) };
  }

  #saved({ revision }: SavedCheckpoint): void {
    this.#revision = revision;
    this.#dirty = false;
    this.#savedAt = performance.now();
    this.#parts.progress.notify();
  }

  /** Proves that what was refused stands all the same, from an earlier try. */
  async #findOwn({ body }: SavedCheckpoint): Promise<void> {
    const standing = await this.#parts.checkpoints.store.load(this.#key);
    if (standing?.body === body) return;
    const { name, partitionId } = this.#parts;
    throw new CheckpointConflictError(name, partitionId.partition);
  }

  #checkIdentity(state: PartitionState): void {
    const { name, identity } = this.#parts;
    if (state.sequence === 0 || state.identity === identity) return;
    throw new StreamRegressedError(
      `projection "${name}"`,
      state.sequence,
      0,
      `its checkpoint is about another store, whose identity was ${state.identity}; ` +
        "see that the right one was opened, or rebuild the projection from this one",
    );
  }

  /** Does `work`, again for as long as the store of checkpoints is in trouble. */
  async #persist(work: () => Promise<void>): Promise<void> {
    const { signal, onError } = this.#parts;
    const nextWait = jitteredWaits(...WAITS);
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof HandlerFailure || isFinal(error)) throw error;
        if (signal.aborted) throw signal.reason;
        onError(error);
        await sleep(nextWait(), signal);
      }
    }
  }
}

function isFinal(error: unknown): boolean {
  return isAetherError(error, "CheckpointConflictError") ||
    isAetherError(error, "StreamRegressedError");
}
