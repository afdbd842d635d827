/**
 * Tests on PostgreSQL, through each of the clients.
 *
 * @module
 */

import pg from "pg";
import postgres from "postgres";
import { PostgresCheckpointStore, type PostgresQueryable } from "../../adapters/postgres/mod.ts";
import type { VersionedTable } from "../../adapters/postgres/mod.ts";
import { findPostgres } from "../../tools/programs/postgres_binary.ts";
import { PostgresServer } from "../../tools/programs/postgres_server.ts";
import type { Skip } from "../support/skip.ts";

const programs = await findPostgres();

/** Why tests on a server are left out. */
export const skip: Skip = programs === undefined && "there is no PostgreSQL here";

let prepared: Promise<string> | undefined;

/** Starts a server, on data that are made once for all tests of this process. */
export async function startPostgres(): Promise<PostgresServer> {
  prepared ??= PostgresServer.prepare(programs!).then((folder) => {
    addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    return folder;
  });
  return await PostgresServer.start(programs!, await prepared);
}

/** What a test needs of a client, whatever its kind. */
export interface Database extends AsyncDisposable {
  /** A store through the client. */
  store(table?: string): PostgresCheckpointStore<PostgresQueryable>;
  /** Runs a statement on the client, or in a transaction of it. */
  run(text: string, tx?: PostgresQueryable): Promise<readonly Record<string, unknown>[]>;
  /** Makes the view of a table. */
  prepare(table: VersionedTable): Promise<void>;
}

/** The clients that talk to a server at a port. */
export const CLIENTS: Readonly<Record<string, (port: number) => Database>> = {
  "pg": (port) => {
    const pool = new pg.Pool({ host: "127.0.0.1", port, user: "postgres", max: 8 });
    pool.on("error", () => {}); // an idle client that lost its connection
    return {
      store: (table) => anyStore(new PostgresCheckpointStore(pool, table ? { table } : {})),
      run: (text, tx) => rows(tx ?? pool, text),
      prepare: (table) => table.prepare(pool),
      [Symbol.asyncDispose]: () => pool.end(),
    };
  },
  "postgres": (port) => {
    const sql = postgres({ host: "127.0.0.1", port, user: "postgres", max: 8 });
    return {
      store: (table) => anyStore(new PostgresCheckpointStore(sql, table ? { table } : {})),
      run: (text, tx) => rows(tx ?? sql, text),
      prepare: (table) => table.prepare(sql),
      [Symbol.asyncDispose]: () => sql.end(),
    };
  },
};

/** The same store, for tests that know no client. */
export function anyStore<Tx>(store: PostgresCheckpointStore<Tx>) {
  return store as unknown as PostgresCheckpointStore<PostgresQueryable>;
}

/** The rows of a statement. */
export async function rows(client: PostgresQueryable, text: string) {
  const rows = "unsafe" in client ? await client.unsafe(text) : (await client.query(text)).rows;
  return [...rows] as Record<string, unknown>[];
}
