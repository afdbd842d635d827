import type { CheckpointStore, SavedCheckpoint } from "../../store/projection/checkpoint_store.ts";
import { quoted, tableName } from "../sql/table_name.ts";
import {
  checkClient,
  checkOpen,
  inTransaction,
  IS_OPEN,
  knownTables,
  type PostgresClient,
  type PostgresQueryable,
  type Row,
  rowsOf,
} from "./client.ts";

/** Options for {@linkcode PostgresCheckpointStore}. */
export interface PostgresCheckpointStoreOptions {
  /**
   * The table that keeps the checkpoints, made if it is not there: lower-case letters, digits and
   * `_`, with a schema and a `.` before it or without. @default {"aether_checkpoints"}
   */
  readonly table?: string;
}

/**
 * A {@linkcode CheckpointStore} in PostgreSQL, beside the read model: effects and position commit
 * in one transaction, so that each event has its effect exactly once, over crashes too.
 *
 * It takes the client that the program has: a `Pool` of `pg`, `sql` of `postgres`, or a `PGlite`.
 * Handlers write through `tx`, which is what that client has for a transaction. If the answer to a
 * `COMMIT` is lost, the projection loads the position and finds out.
 *
 * @typeParam Tx The client's own type of a transaction.
 *
 * @example A read model in a pool of `pg`
 * ```ts ignore
 * import { Pool, type PoolClient } from "pg";
 * import { Projection } from "@flowmade-one/aether";
 * import { PostgresCheckpointStore } from "@flowmade-one/aether/postgres";
 *
 * const pool = new Pool({ connectionString: "postgres://localhost/shop" });
 * const projection = new Projection<PoolClient>({
 *   name: "orders",
 *   store,
 *   checkpoints: new PostgresCheckpointStore(pool),
 *   handler: async ({ actorId }, { tx }) => {
 *     await tx.query("INSERT INTO orders VALUES ($1)", [actorId]);
 *   },
 * });
 * ```
 */
export class PostgresCheckpointStore<Tx> implements CheckpointStore<Tx> {
  readonly #client: PostgresClient<Tx>;
  readonly #table: string;
  #ready: Promise<void> | undefined;

  /**
   * Keeps the checkpoints through `client`, which stays the caller's to close. Sends nothing yet.
   *
   * @throws {TypeError} It is no client of a known kind.
   * @throws {RangeError} The table's name is not one.
   */
  constructor(
    client: PostgresClient<Tx>,
    { table = "aether_checkpoints" }: PostgresCheckpointStoreOptions = {},
  ) {
    checkClient(client);
    this.#client = client;
    this.#table = quoted(tableName(table, { schemas: true }));
  }

  /** See {@linkcode CheckpointStore.load}. */
  async load(key: string): Promise<SavedCheckpoint | undefined> {
    const [row] = await this.#rows(`SELECT revision, body FROM ${this.#table} WHERE key = $1`, [
      key,
    ]);
    return row && { revision: Number(row["revision"]), body: String(row["body"]) };
  }

  /** See {@linkcode CheckpointStore.save}. */
  async save(key: string, { revision, body }: SavedCheckpoint, tx?: Tx): Promise<boolean> {
    // A save after the handler's own ROLLBACK or COMMIT would commit by itself.
    const isOwn = tx !== undefined && knownTables(tx as object) !== undefined;
    const isOpen = isOwn ? IS_OPEN : "true";
    const text = revision === 1
      ? `INSERT INTO ${this.#table} (revision, body, key) SELECT $1, $2, $3 WHERE ${isOpen} ` +
        "ON CONFLICT DO NOTHING RETURNING revision"
      : `UPDATE ${this.#table} SET revision = $1, body = $2 WHERE key = $3 AND revision = $4 ` +
        `AND ${isOpen} RETURNING revision`;
    const values = revision === 1 ? [revision, body, key] : [revision, body, key, revision - 1];
    const isSaved = (await this.#rows(text, values, tx)).length === 1;
    if (!isSaved && isOwn) await checkOpen(tx as PostgresQueryable);
    return isSaved;
  }

  /** See {@linkcode CheckpointStore.transaction}; rejects if `work` ends the transaction itself. */
  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    await this.#makeTable();
    return await inTransaction(this.#client, work);
  }

  async #rows(text: string, values: (string | number)[], tx?: Tx): Promise<readonly Row[]> {
    if (tx === undefined) await this.#makeTable();
    return await rowsOf((tx ?? this.#client) as PostgresQueryable, text, values);
  }

  /** Makes the table if it is not there; looks again at the next call if it fails, or may be undone. */
  #makeTable(): Promise<void> {
    return this.#ready ??= this.#make().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
  }

  async #make(): Promise<void> {
    let { isThere, isDone } = await this.#look(); // A user without the right to create can use a table.
    if (!isThere) {
      const failed = await this.#create().then(() => undefined, (error) => ({ error }));
      ({ isThere, isDone } = await this.#look());
      if (failed !== undefined && !isThere) throw failed.error; // If two create it at once, one may fail.
    }
    if (!isDone) this.#ready = undefined;
  }

  async #create(): Promise<void> {
    const text = `CREATE TABLE IF NOT EXISTS ${this.#table} ` +
      "(key text PRIMARY KEY, revision bigint NOT NULL, body text NOT NULL)";
    await rowsOf(this.#client as PostgresQueryable, text, []);
  }

  /**
   * Whether the table is there, and no transaction is under way that may undo it: a PGlite has one
   * connection, and may be in a transaction of the caller's own.
   */
  async #look(): Promise<{ readonly isThere: boolean; readonly isDone: boolean }> {
    const text = "SELECT to_regclass($1) IS NOT NULL AS there, " +
      "txid_current_if_assigned() IS NULL AS done";
    const [row] = await rowsOf(this.#client as PostgresQueryable, text, [this.#table]);
    return { isThere: row?.["there"] === true, isDone: row?.["done"] === true };
  }
}
