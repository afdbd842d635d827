/** The state of an actor at one version, kept so that a load need not replay all of its events. */
export interface Snapshot<State = unknown> {
  /** The actor whose state it is. */
  readonly actorId: string;
  /** The version of the last event that is folded into `state`: an event with it is stored. */
  readonly version: number;
  /**
   * The id of that event, by which a history is told from another that took its place after a
   * restore. `execute()` fills it in.
   */
  readonly lastEventId?: string;
  /** The shape of `state`: a safe integer of 0 or more that the user raises when it changes. */
  readonly schemaVersion: number;
  /** The state itself: what JSON can carry faithfully, unless a codec lifts the rule. */
  readonly state: State;
  /** When it was taken, to the millisecond. */
  readonly timestamp: Date;
}

/** What {@linkcode SnapshotStore.getLatestSnapshot} is asked for. */
export interface SnapshotQuery {
  /** The shape of state that the caller understands: a safe integer of 0 or more. */
  readonly schemaVersion: number;
}

/**
 * Keeps snapshots: a cache of states, never the truth. Whatever is lost or cannot be read is
 * answered by `undefined`, and the caller replays the events.
 *
 * 1. An older snapshot of an actor never replaces a newer one of the same schema, across any
 *    number of processes.
 * 2. Schemas never meet: a snapshot of another schema is never given out, never replaced, and
 *    never in the way. Old and new code that run side by side each find their own.
 * 3. Nothing is aliased: the caller's state and the store's share nothing.
 *
 * Methods reject; they never throw synchronously.
 */
export interface SnapshotStore extends AsyncDisposable {
  /**
   * Keeps a snapshot; true if it is the newest one of its schema now, false if one at least as
   * new stands.
   *
   * @throws {InvalidSnapshotError} The snapshot cannot be stored as it is, or is too large.
   * @throws {StoreUnavailableError} The store could not be reached; the snapshot may be kept all
   * the same, and saving it again is safe. Or the store is disposed.
   */
  saveSnapshot(snapshot: Snapshot): Promise<boolean>;

  /**
   * The newest snapshot of the actor in the schema asked for; `undefined` where there is none
   * that can be read.
   *
   * @throws {StoreUnavailableError} The store could not be reached, or is disposed.
   * @throws {RangeError} The actor id or the schema version is impossible.
   */
  getLatestSnapshot<State = unknown>(
    actorId: string,
    query: SnapshotQuery,
  ): Promise<Snapshot<State> | undefined>;
}
