/**
 * Read models in SQLite, by `node:sqlite`, on Deno and Node: a checkpoint store in the read model's
 * own transactions, and tables by version for rebuilds.
 *
 * @example Checkpoints beside the read model
 * ```ts
 * import { DatabaseSync } from "node:sqlite";
 * import { SqliteCheckpointStore } from "@flowmade-one/aether/sqlite";
 *
 * const db = new DatabaseSync(":memory:"); // or a file
 * const checkpoints = new SqliteCheckpointStore(db); // for new Projection({ checkpoints, … })
 * console.log(await checkpoints.load("orders.control")); // undefined: nothing is saved yet
 * db.close();
 * ```
 *
 * @module
 */

export { SqliteCheckpointStore, type SqliteCheckpointStoreOptions } from "./checkpoint_store.ts";
export { VersionedTable } from "./versioned_table.ts";
