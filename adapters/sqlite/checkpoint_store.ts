import { needMethods } from "../../store/base/given.ts";
import type { DatabaseSync } from "node:sqlite";
import { jitteredWaits } from "../../store/base/jitter.ts";
import { sleep } from "../../store/base/sleep.ts";
import { textOf } from "../../store/base/text.ts";
import type { CheckpointStore, SavedCheckpoint } from "../../store/projection/checkpoint_store.ts";
import { quoted, tableName } from "../sql/table_name.ts";

/** How long it waits for another connection to end its transaction, in ms. */
const PATIENCE = 5_000;
/** The longest wait between two looks, in ms. */
const MAX_WAIT = 50;

/** The savepoint at the beginning of a transaction, which goes with it. */
const MARK = "aether_transaction";

/** The last work on each connection: it has one transaction at a time, for all stores that use it. */
const lastOf = new WeakMap<DatabaseSync, Promise<unknown>>();

/** Options for {@linkcode SqliteCheckpointStore}. */
export interface SqliteCheckpointStoreOptions {
  /**
   * The table that keeps the checkpoints, made if it is not there: lower-case letters, digits and
   * `_`. @default {"aether_checkpoints"}
   */
  readonly table?: string;
}

/**
 * A {@linkcode CheckpointStore} in SQLite, beside the read model: effects and position commit in
 * one transaction, so that each event has its effect exactly once, over crashes too.
 *
 * Handlers write through `tx`, which is the database that the store was given. While a handler
 * awaits something, other code that uses the same connection is inside the handler's transaction:
 * read through another connection, or let handlers be synchronous. Transactions of one connection
 * queue, whichever stores they are of; other connections and processes may use the file too, and it
 * waits for theirs.
 *
 * @example A read model of orders
 * ```ts
 * import { DatabaseSync } from "node:sqlite";
 * import { createEvent, type Event, InMemoryEventStore, Projection } from "@flowmade-one/aether";
 * import { SqliteCheckpointStore } from "@flowmade-one/aether/sqlite";
 *
 * const db = new DatabaseSync(":memory:"); // or a file
 * db.exec("CREATE TABLE orders (id TEXT PRIMARY KEY, total REAL)");
 * const store = new InMemoryEventStore();
 * const projection = new Projection<DatabaseSync, Event<"OrderPlaced", { total: number }>>({
 *   name: "orders",
 *   store,
 *   checkpoints: new SqliteCheckpointStore(db),
 *   handler: ({ actorId, data }, { tx }) => {
 *     tx.prepare("INSERT INTO orders VALUES (?, ?)").run(actorId, data.total);
 *   },
 * });
 * const running = projection.run();
 *
 * const placed = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: { total: 5 } };
 * await store.saveEvent(createEvent(placed));
 * await projection.caughtUp;
 * console.log(db.prepare("SELECT * FROM orders").all()); // [{ id: "order-1", total: 5 }]
 *
 * await projection[Symbol.asyncDispose]();
 * await running;
 * await store[Symbol.asyncDispose]();
 * db.close();
 * ```
 */
export class SqliteCheckpointStore implements CheckpointStore<DatabaseSync> {
  readonly #db: DatabaseSync;
  readonly #table: string;
  #isReady = false;

  /**
   * Keeps the checkpoints in `db`, which stays the caller's to close. Sends nothing yet.
   *
   * @throws {RangeError} The table's name is not one.
   * @throws {TypeError} `db` is no database.
   */
  constructor(
    db: DatabaseSync,
    { table = "aether_checkpoints" }: SqliteCheckpointStoreOptions = {},
  ) {
    const what = "keep checkpoints";
    needMethods(db, ["prepare", "exec"], what, "db", "an open DatabaseSync of node:sqlite");
    this.#db = db;
    this.#table = quoted(tableName(table, { schemas: false }));
  }

  /** See {@linkcode CheckpointStore.load}. */
  load(key: string): Promise<SavedCheckpoint | undefined> {
    return this.#alone(() =>
      this.#whenFree(() => {
        const row = this.#db.prepare(`SELECT revision, body FROM ${this.#table} WHERE key = ?`)
          .get(key);
        if (row === undefined) return undefined;
        const [revision, body] = Object.values(row); // A row may be an array: `returnArrays`.
        return { revision: Number(revision), body: String(body) };
      })
    );
  }

  /** See {@linkcode CheckpointStore.save}; `tx` has to be the store's own database. */
  async save(key: string, checkpoint: SavedCheckpoint, tx?: DatabaseSync): Promise<boolean> {
    if (tx === undefined) {
      return await this.#alone(() => this.#whenFree(() => this.#save(key, checkpoint)));
    }
    if (tx !== this.#db) {
      throw new TypeError("Cannot save a checkpoint: tx is not the database of the store");
    }
    this.#checkOpen(); // Work inside a transaction has its turn already.
    return this.#save(key, checkpoint);
  }

  /** See {@linkcode CheckpointStore.transaction}; rejects if `work` ends the transaction itself. */
  transaction<T>(work: (tx: DatabaseSync) => Promise<T>): Promise<T> {
    return this.#alone(async () => {
      await this.#whenFree(() => this.#db.exec("BEGIN IMMEDIATE"));
      try {
        this.#db.exec(`SAVEPOINT ${MARK}`);
        const result = await work(this.#db);
        await this.#whenFree(() => this.#release());
        await this.#whenFree(() => this.#db.exec("COMMIT"));
        return result;
      } catch (error) {
        this.#rollBack();
        throw error;
      }
    });
  }

  #save(key: string, { revision, body }: SavedCheckpoint): boolean {
    const statement = revision === 1
      ? `INSERT INTO ${this.#table} (revision, body, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
      : `UPDATE ${this.#table} SET revision = ?, body = ? WHERE key = ? AND revision = ?`;
    const values = revision === 1 ? [revision, body, key] : [revision, body, key, revision - 1];
    return Number(this.#db.prepare(statement).run(...values).changes) === 1;
  }

  /**
   * Refuses to go on if the transaction has ended already, as by a `ROLLBACK` of the handler's or
   * an `INSERT OR ROLLBACK` whose error it caught: the position would be saved without its effects.
   */
  #checkOpen(): void {
    this.#release();
    this.#db.exec(`SAVEPOINT ${MARK}`);
  }

  /** Refuses to go on in a transaction that the handler has begun after ending its own, too. */
  #release(): void {
    try {
      this.#db.exec(`RELEASE ${MARK}`);
    } catch (cause) {
      throw textOf(cause).includes("no such savepoint") ? ended(cause) : cause;
    }
  }

  #rollBack(): void {
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // It has ended already, by itself or with the database; its own error says why.
    }
  }

  /** Runs `work` when no other work of a store runs on the connection. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = (lastOf.get(this.#db) ?? Promise.resolve()).then(work);
    lastOf.set(this.#db, done.catch(() => {}));
    return done;
  }

  /**
   * Runs `work`, and again for as long as another connection has the file. SQLite's own wait would
   * stop this process, and with it a transaction of another connection in it.
   */
  async #whenFree<T>(work: () => T): Promise<T> {
    const deadline = performance.now() + PATIENCE;
    const nextWait = jitteredWaits(1, MAX_WAIT);
    for (;;) {
      try {
        this.#makeTable();
        return work();
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) throw error;
      }
      await sleep(nextWait());
    }
  }

  #makeTable(): void {
    if (this.#isReady) return;
    this.#db.exec(
      `CREATE TABLE IF NOT EXISTS ${this.#table} ` +
        `(key TEXT PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL) STRICT`,
    );
    // In a transaction of the caller's own, the table may go again.
    this.#isReady = this.#db.isTransaction === false; // undefined before Node 22.16
  }
}

function ended(cause?: unknown): Error {
  return new Error("Cannot commit the transaction: the handler has ended it", { cause });
}

/** Whether another connection has the file. */
function isBusy(error: unknown): boolean {
  const { errcode } = error as { readonly errcode?: unknown };
  if (typeof errcode === "number") return (errcode & 0xff) === 5;
  return textOf(error).includes("database is locked"); // Deno gives no code here.
}
