import { needFunction } from "../../store/base/given.ts";
import type { DatabaseSync } from "node:sqlite";
import { quoted, type TableName, tableName, versionIn, versionOf } from "../sql/table_name.ts";

/**
 * A table of a read model for each version of its projection, and a view on the one that is read.
 *
 * `rebuild()` handles all events again while the version before is still read, so the two must not
 * share rows. Handlers write to `of(context)`, readers read the view, and `switchTo` as `onSwitch`
 * moves the view, all in the transactions of the projection.
 *
 * @example Rebuild a read model while it is read
 * ```ts
 * import { DatabaseSync } from "node:sqlite";
 * import { createEvent, type Event, InMemoryEventStore, Projection } from "@flowmade-one/aether";
 * import { SqliteCheckpointStore, VersionedTable } from "@flowmade-one/aether/sqlite";
 *
 * const db = new DatabaseSync(":memory:");
 * const orders = new VersionedTable(
 *   "orders",
 *   (table) => `CREATE TABLE ${table} (id TEXT PRIMARY KEY, total REAL)`,
 * );
 * orders.prepare(db); // readers may ask before the first event
 * const store = new InMemoryEventStore();
 * const projection = new Projection<DatabaseSync, Event<"OrderPlaced", { total: number }>>({
 *   name: "orders",
 *   store,
 *   checkpoints: new SqliteCheckpointStore(db),
 *   handler: ({ actorId, data }, context) => {
 *     context.tx.prepare(`INSERT INTO ${orders.of(context)} VALUES (?, ?)`)
 *       .run(actorId, data.total);
 *   },
 *   onSwitch: (version, tx) => orders.switchTo(version, tx),
 * });
 * const running = projection.run();
 *
 * const placed = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: { total: 5 } };
 * await store.saveEvent(createEvent(placed));
 * await projection.rebuild();
 * console.log(db.prepare("SELECT * FROM orders").all()); // [{ id: "order-1", total: 5 }]
 *
 * await projection[Symbol.asyncDispose]();
 * await running;
 * await store[Symbol.asyncDispose]();
 * db.close();
 * ```
 */
export class VersionedTable {
  readonly #view: TableName;
  readonly #create: (table: string) => string;

  /**
   * Describes a table; touches no database.
   *
   * @param name The view that readers read; its tables are `<name>_v1`, `<name>_v2` and so on.
   * @param create The statements that make the table of the given name, with its indexes.
   * @throws {RangeError} The name is not one: lower-case letters, digits and `_`, 50 at most.
   */
  constructor(name: string, create: (table: string) => string) {
    this.#view = tableName(name, { schemas: false });
    needFunction(create, `use table "${name}"`, "create, the second argument,");
    this.#create = create;
  }

  /**
   * The table that a handler writes to; makes it, and the view if there is none, in the handler's
   * own transaction.
   */
  of({ tx, version }: { readonly tx: DatabaseSync; readonly version: number }): string {
    const table = versionOf(this.#view, version).name;
    if (!has(tx, "table", table)) {
      tx.exec(this.#create(table));
      if (!has(tx, "table", table)) {
        throw new TypeError(`Cannot use table "${table}": create() made no table of this name`);
      }
    }
    if (!has(tx, "view", this.#view.name)) this.#show(tx, table);
    return table;
  }

  /**
   * Makes the view with the table of `version`, if there is no view yet, so that it can be read
   * before the first event is handled.
   */
  prepare(db: DatabaseSync, version: number = 1): void {
    if (!has(db, "view", this.#view.name)) this.of({ tx: db, version });
  }

  /** Moves the view to the table of `version`, and drops the tables of the versions before. */
  switchTo(version: number, tx: DatabaseSync): void {
    const table = this.of({ tx, version });
    tx.exec(`DROP VIEW ${quoted(this.#view)}`);
    this.#show(tx, table);
    for (const row of tx.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()) {
      const [name] = Object.values(row); // A row may be an array: `returnArrays`.
      const other = versionIn(this.#view, String(name));
      if (other !== undefined && other < version) tx.exec(`DROP TABLE "${name}"`);
    }
  }

  #show(tx: DatabaseSync, table: string): void {
    tx.exec(`CREATE VIEW ${quoted(this.#view)} AS SELECT * FROM "${table}"`);
  }
}

function has(db: DatabaseSync, type: "table" | "view", name: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE type = ? AND name = ?").get(type, name) !==
    undefined;
}
