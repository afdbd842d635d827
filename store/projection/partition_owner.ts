import { unlessStuck } from "../base/abort.ts";
import { isInstance } from "../base/text.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import type { Notifier } from "../base/notifier.ts";
import { CheckpointConflictError, isAetherError, StreamRegressedError } from "../errors.ts";
import { isClosed } from "../nats/failure.ts";
import type { SavedCheckpoint } from "./checkpoint_store.ts";
import { type ProjectionCheckpoints, waitsForOthers } from "./checkpoints.ts";
import type { PartitionId, PartitionState } from "./state.ts";

/** The shortest and the longest span before a checkpoint store is tried again, in ms. */
const WAITS = [20, 5_000] as const;
/** How long nothing is saved before it is proved that the last save is still there, in ms. */
const LOOK = 10_000;

/** Thrown inside a transaction to distinguish the handler's failure from the transaction's own. */
export class HandlerFailure extends Error {
  /** Keeps the error that the handler threw. */
  constructor(cause: unknown) {
    super("the handler failed", { cause });
  }
}

/** The parts of a {@linkcode PartitionOwner}. */
export interface PartitionOwnerParts<Tx> {
  readonly name: string;
  readonly partitionId: PartitionId;
  readonly checkpoints: ProjectionCheckpoints<Tx>;
  /** The identity of the store whose events are handled. */
  readonly identity: string;
  /** Ends the wait for a store that is out of reach. */
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
  /** Notified of each save. */
  readonly progress: Notifier;
}

/**
 * The ownership of a partition: the right to save after the last seen revision. A claim takes it
 * from the owner before, whose next save then fails.
 */
export class PartitionOwner<Tx> {
  readonly #parts: PartitionOwnerParts<Tx>;
  readonly #key: string;
  readonly #owner = crypto.randomUUID();
  #revision = 0;
  #state: PartitionState | undefined;
  #dirty = false;
  #savedAt = performance.now();

  /** The ownership of one partition, not claimed yet. */
  constructor(parts: PartitionOwnerParts<Tx>) {
    this.#parts = parts;
    const { checkpoints, partitionId } = parts;
    this.#key = checkpoints.keys.partition(partitionId.version, partitionId.partition);
  }

  /** The state of the partition, saved or about to be. */
  get state(): PartitionState {
    if (this.#state === undefined) throw new TypeError("the partition is not claimed");
    return this.#state;
  }

  /** Sets the state; the next save saves it. */
  set state(state: PartitionState) {
    this.#state = state;
    this.#dirty = true;
  }

  /** Sets a state that needs no save of its own. */
  note(state: PartitionState): void {
    this.#state = state;
  }

  /** How long ago it was saved last, in ms, or was last seen to be saved. */
  get age(): number {
    return performance.now() - this.#savedAt;
  }

  /** Whether nothing was saved for so long that {@linkcode PartitionOwner.save} looks at the last save. */
  get isQuiet(): boolean {
    return this.age > LOOK;
  }

  /** Whether the store of checkpoints has transactions. */
  get transactional(): boolean {
    return this.#parts.checkpoints.store.transaction !== undefined;
  }

  /**
   * Takes the partition from its owner, unless it is retired.
   *
   * @throws {StreamRegressedError} The saved state is about the events of another store.
   */
  async claim(): Promise<void> {
    const { checkpoints, partitionId, identity, signal } = this.#parts;
    const nextWait = waitsForOthers();
    await this.#persist(async () => {
      for (;; await sleep(nextWait(), signal)) {
        signal.throwIfAborted();
        const { revision, state } = await this.#answer(
          checkpoints.partition(partitionId, identity),
        );
        this.#checkIdentity(state);
        this.#revision = revision;
        this.#state = { ...state, identity, owner: this.#owner };
        // An earlier try may have been saved without an answer.
        if (state.retired || state.owner === this.#owner) return;
        const next = this.#textOf(this.#state);
        if (await this.#answer(checkpoints.store.save(this.#key, next))) return this.#saved(next);
      }
    });
  }

  /**
   * Saves the state, if it has changed. If it has not for a while, proves that the last save is still
   * there: a database that was set back has lost its effects too, and no event may come to tell.
   */
  async save(): Promise<void> {
    const { store } = this.#parts.checkpoints;
    if (!this.#dirty) {
      if (this.isQuiet) await this.#persist(() => this.#look());
      return;
    }
    const next = this.#textOf(this.state);
    await this.#persist(async () => {
      if (!await this.#answer(store.save(this.#key, next))) await this.#findOwn(next);
    });
    this.#saved(next);
  }

  /**
   * Does `work` and saves the state `after` it in one transaction.
   *
   * @throws {HandlerFailure} `work` threw its `cause`; nothing was saved.
   */
  async commit(after: PartitionState, work: (tx: Tx) => Promise<void>): Promise<void> {
    const { store } = this.#parts.checkpoints;
    const next = this.#textOf(after);
    const stale = new Error("stale");
    let tries = 0;
    await this.#persist(async () => {
      // An earlier try may have been committed without an answer.
      if (tries++ > 0) {
        const current = await this.#answer(store.load(this.#key));
        if ((current?.revision ?? 0) !== this.#revision) return await this.#findOwn(next);
      }
      // However long the handler takes, a stop waits for it: only the store has to answer.
      const begun = Promise.withResolvers<void>();
      const worked = Promise.withResolvers<void>();
      const transaction = store.transaction!(async (tx) => {
        begun.resolve();
        try {
          await work(tx);
        } catch (error) {
          throw new HandlerFailure(error);
        } finally {
          worked.resolve();
        }
        if (!await store.save(this.#key, next, tx)) throw stale;
      });
      const committed = Promise.resolve(transaction); // One that is no promise may begin at each await.
      try {
        await this.#answer(Promise.race([begun.promise, committed]));
        await Promise.race([worked.promise, committed]);
        await this.#answer(committed);
      } catch (error) {
        if (error !== stale) throw error;
        await this.#findOwn(next);
      }
    });
    this.#state = after;
    this.#saved(next);
  }

  /** What the checkpoint store answers; one that never does holds up no stop. */
  #answer<T>(asked: Promise<T>): Promise<T> {
    return unlessStuck(this.#parts.signal, asked);
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

  /** Proves that an earlier try has saved the state whose save was refused. */
  async #findOwn({ body }: SavedCheckpoint): Promise<void> {
    const current = await this.#answer(this.#parts.checkpoints.store.load(this.#key));
    if (current?.body !== body) throw this.#conflict(current);
  }

  async #look(): Promise<void> {
    const current = await this.#answer(this.#parts.checkpoints.store.load(this.#key));
    if ((current?.revision ?? 0) !== this.#revision) throw this.#conflict(current);
    this.#savedAt = performance.now();
  }

  /** Revisions only grow, so a lower one is of a store that was set back to an earlier state. */
  #conflict(current: SavedCheckpoint | undefined): CheckpointConflictError {
    const { name, partitionId } = this.#parts;
    const lost = Math.max(0, this.#revision - (current?.revision ?? 0));
    return new CheckpointConflictError(name, partitionId.partition, lost);
  }

  #checkIdentity(state: PartitionState): void {
    const { name, identity } = this.#parts;
    if (state.sequence === 0 || state.identity === identity) return;
    throw new StreamRegressedError(
      `projection "${name}"`,
      state.sequence,
      0,
      `its checkpoint is about another store, whose identity was ${state.identity}; ` +
        "open the right one, or rebuild the projection from this one (a reactor: resumeAt())",
    );
  }

  /** Does `work`, and repeats it for as long as the checkpoint store is in trouble. */
  async #persist(work: () => Promise<void>): Promise<void> {
    const { signal, onError } = this.#parts;
    const nextWait = jitteredWaits(...WAITS);
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (isInstance(error, HandlerFailure) || isFinal(error) || isClosed(error)) throw error;
        if (signal.aborted) throw signal.reason;
        onError(error);
        await sleep(nextWait(), signal);
      }
    }
  }
}

function isFinal(error: unknown): boolean {
  return isAetherError(error, "CheckpointConflictError") ||
    isAetherError(error, "CorruptCheckpointError") ||
    isAetherError(error, "StreamRegressedError") || isAetherError(error, "StoreRefusedError");
}
