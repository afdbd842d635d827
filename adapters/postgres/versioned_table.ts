import { needFunction } from "../../store/base/given.ts";
import { quoted, type TableName, tableName, versionIn, versionOf } from "../sql/table_name.ts";
import {
  checkClient,
  inTransaction,
  knownTables,
  type PostgresClient,
  type PostgresQueryable,
  rowsOf,
  runScript,
} from "./client.ts";

/**
 * A table of a read model for each version of its projection, and a view on the one that is read.
 *
 * `rebuild()` handles all events again while the version before is still read, so the two must not
 * share rows. Handlers write to `of(context)`, readers read the view, and `switchTo` as `onSwitch`
 * moves the view, all in the transactions of the projection.
 *
 * @example Rebuild a read model while it is read
 * ```ts ignore
 * const orders = new VersionedTable(
 *   "orders",
 *   (table) => `CREATE TABLE ${table} (id text PRIMARY KEY, total numeric)`,
 * );
 * await orders.prepare(pool); // readers may ask before the first event
 * const projection = new Projection<PoolClient, OrderPlaced>({
 *   name: "orders",
 *   store,
 *   checkpoints: new PostgresCheckpointStore(pool),
 *   handler: async ({ actorId, data }, context) => {
 *     const table = await orders.of(context);
 *     await context.tx.query(`INSERT INTO ${table} VALUES ($1, $2)`, [actorId, data.total]);
 *   },
 *   onSwitch: (version, tx) => orders.switchTo(version, tx),
 * });
 * ```
 */
export class VersionedTable {
  readonly #view: TableName;
  readonly #create: (table: string) => string;

  /**
   * Describes a table; touches no database.
   *
   * @param name The view that readers read, with its schema or without; its tables are
   * `<name>_v1`, `<name>_v2` and so on.
   * @param create The statements that make the table of the given name.
   * @throws {RangeError} The name is not one: lower-case letters, digits and `_`, 50 at most.
   */
  constructor(name: string, create: (table: string) => string) {
    this.#view = tableName(name, { schemas: true });
    needFunction(create, `use table "${name}"`, "create, the second argument,");
    this.#create = create;
  }

  /**
   * The table that a handler writes to; makes it, and the view if there is none, in the handler's
   * own transaction. Asks the database once in each transaction but the one that makes it.
   */
  async of(
    { tx, version }: { readonly tx: PostgresQueryable; readonly version: number },
  ): Promise<string> {
    const table = versionOf(this.#view, version);
    const text = quoted(table);
    const known = knownTables(tx);
    if (known?.get(text) === "there") return text;
    const isThere = await exists(tx, "table", table) && await exists(tx, "view", this.#view);
    if (!isThere) await this.#make(tx, table);
    // What the transaction has made, it may undo by a ROLLBACK TO.
    known?.set(text, isThere && !known.has(text) ? "there" : "made");
    return text;
  }

  /**
   * Makes the view with the table of `version`, if there is no view yet, so that it can be read
   * before the first event is handled.
   */
  async prepare<Tx>(client: PostgresClient<Tx>, version: number = 1): Promise<void> {
    checkClient(client);
    await inTransaction(client, async (tx) => {
      const own = tx as PostgresQueryable;
      if (!await exists(own, "view", this.#view)) await this.of({ tx: own, version });
    });
  }

  /** Moves the view to the table of `version`, and drops the tables of the versions before. */
  async switchTo(version: number, tx: PostgresQueryable): Promise<void> {
    const table = await this.of({ tx, version });
    await this.#alone(tx);
    await runScript(tx, `DROP VIEW ${quoted(this.#view)}`);
    await this.#show(tx, table);
    const others = await rowsOf(
      tx,
      "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = " +
        "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass($1))",
      [table],
    );
    for (const { relname } of others) {
      const name = String(relname);
      const other = versionIn(this.#view, name);
      if (other === undefined || other >= version) continue;
      await runScript(tx, `DROP TABLE ${quoted({ ...this.#view, name })}`);
    }
  }

  async #make(tx: PostgresQueryable, table: TableName): Promise<void> {
    const text = quoted(table);
    await this.#alone(tx);
    if (!await exists(tx, "table", table)) {
      await runScript(tx, this.#create(text));
      if (!await exists(tx, "table", table)) {
        throw new TypeError(`Cannot use table ${text}: create() made no table of this name`);
      }
    }
    if (!await exists(tx, "view", this.#view)) await this.#show(tx, text);
  }

  /** Waits until no other transaction makes or moves the tables: of two, one would fail. */
  async #alone(tx: PostgresQueryable): Promise<void> {
    const lock = `aether ${quoted(this.#view)}`;
    await rowsOf(tx, "SELECT pg_advisory_xact_lock(hashtext($1))", [lock]);
  }

  async #show(tx: PostgresQueryable, table: string): Promise<void> {
    await runScript(tx, `CREATE VIEW ${quoted(this.#view)} AS SELECT * FROM ${table}`);
  }
}

/** The kinds of relations that are one or the other, as the catalog has them. */
const KINDS = { table: "'r', 'p', 'f'", view: "'v'" } as const;

/**
 * Whether there is a table, or a view, of this name. It reads the catalog itself: `to_regclass()` may
 * go by what this connection has cached, which a wait for another transaction does not renew.
 */
async function exists(
  tx: PostgresQueryable,
  kind: keyof typeof KINDS,
  { schema, name }: TableName,
): Promise<boolean> {
  const rows = await rowsOf(
    tx,
    "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = $1 " +
      `AND c.relkind IN (${KINDS[kind]}) ` +
      `AND n.nspname = ${schema === undefined ? "ANY (current_schemas(false))" : "$2"}`,
    [name, ...schema === undefined ? [] : [schema]],
  );
  return rows.length > 0;
}
