/** The state of an actor at one version, kept so that a load need not replay all events. */
export interface Snapshot<State = unknown> {
  /** The actor whose state it is. */
  readonly actorId: string;
  /**
   * Which state of the actor it is, as there may be several: the name of the rules that folded it.
   * An id of at most 80 bytes when encoded.
   */
  readonly name: string;
  /** The version of the last event that is folded into `state`; that event has to be stored. */
  readonly version: number;
  /**
   * The id of that event: it shows whether the history is still the same one after a restore.
   * `execute()` fills it in.
   */
  readonly lastEventId?: string;
  /** The shape of `state`: a safe integer of 0 or more that the user raises when it changes. */
  readonly schemaVersion: number;
  /** The state itself: a value that JSON carries faithfully, unless the codec is lenient. */
  readonly state: State;
  /** When it was taken, to the millisecond. */
  readonly timestamp: Date;
}

/** The query of {@linkcode SnapshotStore.getLatestSnapshot}. */
export interface SnapshotQuery {
  /** Which state of the actor: see {@linkcode Snapshot.name}. */
  readonly name: string;
  /** The shape of state that the caller understands: a safe integer of 0 or more. */
  readonly schemaVersion: number;
}

/**
 * Keeps snapshots: a cache of states, never the truth. For a snapshot that is lost or cannot be
 * read the store returns `undefined`, and the caller replays the events.
 *
 * 1. An older snapshot of an actor never replaces a newer one of the same name and schema, across
 *    any number of processes.
 * 2. Names and schemas are separate: a query or save of one never returns, replaces or is hindered
 *    by a snapshot of another. Two evolutions of one actor, and old and new code that run side by
 *    side, each find their own.
 * 3. The caller's state and the store's share no objects.
 *
 * Methods reject; they never throw synchronously.
 */
export interface SnapshotStore extends AsyncDisposable {
  /**
   * Keeps a snapshot; true if it is the newest one of its name and schema now, false if one at
   * least as new exists.
   *
   * @throws {InvalidSnapshotError} The snapshot cannot be stored as it is, or is too large.
   * @throws {StoreUnavailableError} The store could not be reached: the snapshot may be kept or
   * not, and saving it again is safe. Or its codec has to wait, or the store is disposed.
   * @throws {StoreRefusedError} The server refuses, and would again.
   */
  saveSnapshot(snapshot: Snapshot): Promise<boolean>;

  /**
   * The newest readable snapshot of the actor of the name and schema asked for; `undefined` if
   * there is none.
   *
   * @throws {StoreUnavailableError} The store could not be reached, its codec has to wait, or it is disposed.
   * @throws {StoreRefusedError} The server refuses, and would again.
   * @throws {RangeError} The actor id, the name or the schema version is impossible.
   */
  getLatestSnapshot<State = unknown>(
    actorId: string,
    query: SnapshotQuery,
  ): Promise<Snapshot<State> | undefined>;
}
