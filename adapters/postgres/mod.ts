/**
 * Read models in PostgreSQL, through the client that a program has (`pg`, `postgres` or PGlite): a
 * checkpoint store in the read model's own transactions, and tables by version for rebuilds. It
 * depends on none of them.
 *
 * @example Checkpoints beside the read model
 * ```ts
 * import { PGlite } from "@electric-sql/pglite";
 * import { PostgresCheckpointStore } from "@flowmade-one/aether/postgres";
 *
 * const db = new PGlite(); // or a Pool of pg, or sql of postgres
 * const checkpoints = new PostgresCheckpointStore(db); // for new Projection({ checkpoints, … })
 * console.log(await checkpoints.load("orders.control")); // undefined: nothing is saved yet
 * await db.close();
 * ```
 *
 * @module
 */

export {
  PostgresCheckpointStore,
  type PostgresCheckpointStoreOptions,
} from "./checkpoint_store.ts";
export type {
  PgliteDatabase,
  PgPool,
  PostgresClient,
  PostgresJs,
  PostgresQueryable,
} from "./client.ts";
export { VersionedTable } from "./versioned_table.ts";
