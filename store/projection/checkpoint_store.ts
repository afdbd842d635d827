/** The content of a key of a {@linkcode CheckpointStore}. */
export interface SavedCheckpoint {
  /** Counts the saves of the key, from 1. */
  readonly revision: number;
  /** A text that only the projection understands: JSON, of some 100 bytes unless events are parked. */
  readonly body: string;
}

/**
 * Keeps the positions of projections, their parked events, and the commands that callers gave
 * them: a few texts by key, each saved by compare-and-set on its revision. Only this keeps two
 * processes from doing the same work twice, so it has to be exact.
 *
 * A store beside the read model takes part in its transactions by
 * {@linkcode CheckpointStore.transaction}: effects and position are then committed together or
 * not at all. `./sqlite` and `./postgres` of this package have such stores.
 *
 * Projections take a rejection of any method as passing trouble: they load the current content,
 * then call again.
 *
 * @typeParam Tx The transaction that a handler writes through, so that its effects belong to it.
 */
export interface CheckpointStore<Tx = undefined> {
  /** The content of `key`; `undefined` if nothing was ever saved. Never older than a resolved save. */
  load(key: string): Promise<SavedCheckpoint | undefined>;

  /**
   * Saves `checkpoint` if the revision at `key` is the one before its own (0 if there is none), in
   * one step; otherwise changes nothing and resolves with false.
   *
   * @param tx The transaction that the save belongs to; absent if it belongs to none.
   */
  save(key: string, checkpoint: SavedCheckpoint, tx?: NoInfer<Tx>): Promise<boolean>;

  /**
   * Does `work` in a transaction that commits when `work` resolves; if `work` rejects, it rolls back
   * and rejects with the same error. With a store without this method, projections save after the
   * effects: after a crash they handle the events since the last save again.
   */
  transaction?<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
}
