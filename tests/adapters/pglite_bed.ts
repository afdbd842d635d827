/**
 * Tests on PostgreSQL in this process.
 *
 * @module
 */

import { PGlite } from "@electric-sql/pglite";
import { PostgresCheckpointStore } from "../../adapters/postgres/mod.ts";
import { anyStore, type Database, rows } from "./postgres_bed.ts";

/** A database in this process. To begin one takes seconds: {@linkcode empty} makes it new for the next test. */
export function pglite(): Database & { empty(): Promise<void> } {
  const db = new PGlite();
  return {
    store: (table) => anyStore(new PostgresCheckpointStore(db, table ? { table } : {})),
    run: (text, tx) => rows(tx ?? db, text),
    prepare: (table) => table.prepare(db),
    [Symbol.asyncDispose]: () => db.close(),
    async empty() {
      const { rows } = await db.query<{ nspname: string }>(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'",
      );
      const schemas = rows.map(({ nspname }) => `"${nspname}"`).join(", ");
      await db.exec(`DROP SCHEMA ${schemas} CASCADE; CREATE SCHEMA public`);
    },
  };
}
