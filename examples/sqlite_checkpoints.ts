/**
 * A checkpoint store beside the read model, in SQLite: effects and position commit in one
 * transaction, so that each event has its effect exactly once. Copy it, and change it to suit.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import type { CheckpointStore, SavedCheckpoint } from "@flowmade-one/aether/store";

/** Keeps checkpoints in the table `aether_checkpoints` of `db`; handlers get `db` as `tx`. */
export class SqliteCheckpointStore implements CheckpointStore<DatabaseSync> {
  readonly #db: DatabaseSync;
  /** One transaction at a time: a connection has no more, and partitions run at the same time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(db: DatabaseSync) {
    this.#db = db;
    // Other processes may have the file too: wait for them, and survive a crash at any point.
    db.exec(`
      PRAGMA busy_timeout = 5000;
      PRAGMA journal_mode = WAL;
      CREATE TABLE IF NOT EXISTS aether_checkpoints (
        key TEXT PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL
      ) STRICT`);
  }

  load(key: string): Promise<SavedCheckpoint | undefined> {
    return this.#alone(() => {
      const row = this.#db.prepare("SELECT revision, body FROM aether_checkpoints WHERE key = ?")
        .get(key);
      return row && { revision: Number(row["revision"]), body: String(row["body"]) };
    });
  }

  save(key: string, checkpoint: SavedCheckpoint, tx?: DatabaseSync): Promise<boolean> {
    // Work inside a transaction has its turn already.
    return tx === undefined
      ? this.#alone(() => this.#save(key, checkpoint))
      : Promise.resolve(this.#save(key, checkpoint));
  }

  transaction<T>(work: (tx: DatabaseSync) => Promise<T>): Promise<T> {
    return this.#alone(async () => {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const result = await work(this.#db);
        this.#db.exec("COMMIT");
        return result;
      } catch (error) {
        this.#db.exec("ROLLBACK");
        throw error;
      }
    });
  }

  #save(key: string, { revision, body }: SavedCheckpoint): boolean {
    const statement = revision === 1
      ? "INSERT INTO aether_checkpoints (revision, body, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
      : "UPDATE aether_checkpoints SET revision = ?, body = ? WHERE key = ? AND revision = ?";
    const values = revision === 1 ? [revision, body, key] : [revision, body, key, revision - 1];
    return Number(this.#db.prepare(statement).run(...values).changes) === 1;
  }

  #alone<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}
