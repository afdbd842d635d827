/** What stands at a key of a {@linkcode CheckpointStore}. */
export interface SavedCheckpoint {
  /** Counts the saves of the key, from 1. */
  readonly revision: number;
  /** A text that only the projection understands: JSON, of some 100 bytes unless events are parked. */
  readonly body: string;
}

/**
 * Where projections keep how far they have come, which events they have parked, and what they
 * are told to do: a few texts by key, each saved by compare-and-set on its revision. That is
 * all that keeps two processes from doing the same work twice, so it has to be exact.
 *
 * A store that lies beside the read model takes part in its transactions by
 * {@linkcode CheckpointStore.transaction}: effects and position then come to pass together or
 * not at all. `examples/sqlite_checkpoints.ts` is one in some fifty lines.
 *
 * A rejection of any method is taken for a passing trouble: the call is made again, after what
 * stands was loaded.
 *
 * @typeParam Tx What a handler writes through, so that its effects belong to the transaction.
 */
export interface CheckpointStore<Tx = undefined> {
  /** What stands at `key`; `undefined` where nothing was ever saved. Never older than a save that has resolved. */
  load(key: string): Promise<SavedCheckpoint | undefined>;

  /**
   * Saves `checkpoint` if the revision that stands at `key` is the one before its own (0 where
   * nothing stands), in one step; false, and nothing is changed, where it is not.
   *
   * @param tx The transaction that the save belongs to; absent where it stands for itself.
   */
  save(key: string, checkpoint: SavedCheckpoint, tx?: NoInfer<Tx>): Promise<boolean>;

  /**
   * Does `work` in a transaction that commits when it resolves, and rolls back when it rejects;
   * then this rejects with the same. A store without this method saves after the effects: after
   * a crash, what came after the last save is handled again.
   */
  transaction?<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
}
