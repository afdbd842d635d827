/** A row by its columns. */
export type Row = Readonly<Record<string, unknown>>;

/** The target of statements: a connection, a pool, or a transaction of a client. */
export type PostgresQueryable =
  | {
    query(
      text: string,
      values?: (string | number)[],
    ): PromiseLike<{ readonly rows: readonly unknown[] }>;
  }
  | { unsafe(text: string, values?: (string | number)[]): PromiseLike<readonly unknown[]> };

/** A `Pool` of `pg`, by its structure. */
export interface PgPool<Tx> {
  /** How many clients it has: a single client of `pg` has no such count, and is refused. */
  readonly totalCount: number;
  /** Lends a client. */
  connect(
    lend: (
      error: Error | undefined,
      client: Tx | undefined,
      done: (release?: boolean | Error) => void,
    ) => void,
  ): void;
  /** Runs a statement on any client. */
  query(
    text: string,
    values?: (string | number)[],
  ): PromiseLike<{ readonly rows: readonly unknown[] }>;
}

/** The `sql` function of `postgres`, by its structure. */
export interface PostgresJs<Tx> {
  /** Does work in a transaction. */
  begin(options: string, work: (tx: Tx) => Promise<void>): PromiseLike<unknown>;
  /** Runs a statement. */
  unsafe(text: string, values?: (string | number)[]): PromiseLike<readonly unknown[]>;
}

/** A `PGlite`, by its structure. */
export interface PgliteDatabase<Tx> {
  /** Does work in a transaction. */
  transaction(work: (tx: Tx) => Promise<void>): PromiseLike<unknown>;
  /** Runs a statement. */
  query(
    text: string,
    values?: (string | number)[],
  ): PromiseLike<{ readonly rows: readonly unknown[] }>;
}

/**
 * A client of PostgreSQL: a `Pool` of `pg`, `sql` of `postgres`, or a `PGlite`.
 *
 * @typeParam Tx What the client has for a transaction: a client of the pool, or a part of its own.
 */
export type PostgresClient<Tx> = PgPool<Tx> | PostgresJs<Tx> | PgliteDatabase<Tx>;

/** The tables that a transaction under way has asked for: "there" before it, or "made" in it. */
export type KnownTables = Map<string, "there" | "made">;

/** The tables known in transactions under way, by what their client has for them. */
const tablesIn = new WeakMap<object, KnownTables>();

/** The tables known in a transaction; forgotten with it, as it may roll back. */
export function knownTables(tx: object): KnownTables | undefined {
  return tablesIn.get(tx);
}

/** Runs one statement; gives its rows. */
export async function rowsOf(
  client: PostgresQueryable,
  text: string,
  values: (string | number)[],
): Promise<readonly Row[]> {
  const rows = "unsafe" in client
    ? await client.unsafe(text, values)
    : (await client.query(text, values)).rows;
  return rows as readonly Row[];
}

/** Runs statements that take no values, one or several. */
export async function runScript(client: PostgresQueryable, text: string): Promise<void> {
  if ("unsafe" in client) await client.unsafe(text);
  else if ("exec" in client && typeof client.exec === "function") await client.exec(text); // PGlite
  else await client.query(text);
}

/**
 * Refuses what is no client of a known kind.
 *
 * @throws {TypeError} It is none.
 */
export function checkClient(client: unknown): void {
  const isSome = (typeof client === "object" && client !== null) || typeof client === "function";
  const has = (name: string) =>
    isSome && typeof (client as Record<string, unknown>)[name] === "function";
  const isKnown = (has("begin") && has("unsafe")) || (has("query") && has("transaction")) ||
    (has("query") && has("connect") && "totalCount" in (client as object));
  if (isKnown) return;
  throw new TypeError(
    "Cannot use the client: it is no Pool of pg (a single Client cannot be shared), no sql of " +
      "postgres and no PGlite",
  );
}

/** Each statement sees what others have committed before it, whatever the database's default is. */
const ISOLATION = "ISOLATION LEVEL READ COMMITTED";

/** Set in a transaction at its beginning; PostgreSQL forgets it with the transaction. */
const MARK = "SET LOCAL aether.transaction = 'open'";
/** A condition: the transaction is the one that was begun, and not another one after it, or none. */
export const IS_OPEN = "current_setting('aether.transaction', true) = 'open'";

/**
 * Passes if the transaction is the one that was begun: not if the handler has ended it.
 *
 * @throws {Error} It is not, or a statement that failed has ended it.
 */
export async function checkOpen(tx: PostgresQueryable): Promise<void> {
  const [row] = await rowsOf(tx, `SELECT ${IS_OPEN} AS open`, []);
  if (row?.["open"] === true) return;
  throw new Error("Cannot commit the transaction: the handler has ended it");
}

/** Does `work` in a transaction of the client; rejects with its error if it rolls back. */
export async function inTransaction<Tx, T>(
  client: PostgresClient<Tx>,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  let result: { readonly value: T } | undefined;
  const run = async (tx: Tx): Promise<void> => {
    tablesIn.set(tx as object, new Map());
    try {
      const value = await work(tx);
      // After a failed statement whose error was caught, too, COMMIT would roll it back, and some
      // clients do not tell.
      await checkOpen(tx as PostgresQueryable);
      result = { value };
    } finally {
      tablesIn.delete(tx as object);
    }
  };
  const runMarked = async (tx: Tx): Promise<void> => {
    const marked = runScript(tx as PostgresQueryable, MARK);
    marked.catch(() => {}); // The first statement of the work finds out what is wrong, too.
    await run(tx); // Its statements queue behind: the mark costs no wait.
  };
  if ("begin" in client) await client.begin(ISOLATION, runMarked);
  else if ("transaction" in client) await client.transaction(runMarked);
  else await inPgTransaction(client, run);
  return result!.value;
}

/** A client that a pool of `pg` lends. */
interface PgClient {
  query(text: string): Promise<unknown>;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeListener(event: "error", listener: (error: Error) => void): unknown;
}

async function inPgTransaction<Tx>(
  pool: PgPool<Tx>,
  work: (tx: Tx) => Promise<void>,
): Promise<void> {
  const [tx, done] = await new Promise<[Tx, (release?: boolean | Error) => void]>(
    (resolve, reject) =>
      pool.connect((error, client, done) => error ? reject(error) : resolve([client!, done])),
  );
  const client = tx as unknown as PgClient;
  let broken: Error | undefined;
  // A lent client that loses its connection would end the process if nobody listened.
  const lose = (error: Error) => void (broken = error);
  client.on("error", lose);
  try {
    await client.query(`BEGIN ${ISOLATION}; ${MARK}`);
    await work(tx);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(lose);
    throw error;
  } finally {
    client.removeListener("error", lose);
    done(broken); // A client with an error is not lent again.
  }
}
