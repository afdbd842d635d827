import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import pg from "pg";
import {
  PostgresCheckpointStore,
  type PostgresQueryable,
  VersionedTable,
} from "../../adapters/postgres/mod.ts";
import { appendEvents, InMemoryEventStore, Projection } from "../../store/mod.ts";
import { checkpointStoreSuite } from "../../testing/checkpoint_store.ts";
import { unlessSkipped } from "../support/skip.ts";
import { pglite } from "./pglite_bed.ts";
import { CLIENTS, type Database, skip, startPostgres } from "./postgres_bed.ts";

type Run = (db: Database, t: Deno.TestContext) => Promise<void>;

const inProcess: [name: string, Run][] = [];

/** A test with a database through each client. */
function everywhere(name: string, run: Run): void {
  inProcess.push([name, run]);
  for (const [client, open] of Object.entries(CLIENTS)) {
    Deno.test({
      ...unlessSkipped(`PostgreSQL through ${client}: ${name}`, skip),
      async fn(t) {
        await using server = await startPostgres();
        await using db = open(server.port);
        await run(db, t);
      },
    });
  }
}

everywhere("the promises of a checkpoint store", async (db, t) => {
  const tests: [string, () => Promise<void>][] = [];
  checkpointStoreSuite<PostgresQueryable>({
    test: (name, run) => void tests.push([name, run]),
    create: ({ namespace }) => db.store(namespace.replaceAll("-", "_")),
    capabilities: { reopen: true },
  });
  for (const [name, run] of tests) await t.step(name, run);
});

everywhere("a failed statement that the handler caught ends the transaction", async (db) => {
  await db.run("CREATE TABLE t (x int PRIMARY KEY)");
  const store = db.store();
  const doomed = store.transaction(async (tx) => {
    await db.run("INSERT INTO t VALUES (1)", tx);
    await store.save("a.1.0", { revision: 1, body: "{}" }, tx);
    await db.run("INSERT INTO t VALUES (1)", tx).catch(() => {}); // as one that knows duplicates
  });
  await assertRejects(() => doomed, Error);
  assertEquals(await store.load("a.1.0"), undefined);
  assertEquals(await db.run("SELECT * FROM t"), []);
  assert(await store.save("a.1.0", { revision: 1, body: "{}" }), "It goes on");
});

everywhere("a handler that ends the transaction saves no position", async (db) => {
  await db.run("CREATE TABLE t (x int)");
  const store = db.store();
  await store.save("b.1.0", { revision: 1, body: "{}" });
  const ends = ["ROLLBACK", "ROLLBACK; BEGIN", "ROLLBACK AND CHAIN", "COMMIT; BEGIN", "COMMIT"];
  for (const end of ends) {
    for (const [key, revision] of [["a.1.0", 1], ["b.1.0", 2]] as const) {
      const doomed = store.transaction(async (tx) => {
        await db.run("INSERT INTO t VALUES (1)", tx);
        for (const text of end.split("; ")) await db.run(text, tx);
        await db.run("INSERT INTO t VALUES (2)", tx);
        await store.save(key, { revision, body: "late" }, tx);
      });
      const { message } = await assertRejects(() => doomed, Error, undefined, end);
      assertMatch(message, /the handler has ended it|^UNSAFE_TRANSACTION/); // what `postgres` says to BEGIN
      assertEquals((await store.load(key))?.body, revision === 1 ? undefined : "{}", end);
    }
    const doomed = store.transaction(async (tx) => {
      await store.save("a.1.0", { revision: 1, body: "{}" }, tx);
      await db.run("ROLLBACK", tx);
    });
    await assertRejects(() => doomed, Error, "the handler has ended it", end);
  }
  const kept = await db.run("SELECT x FROM t WHERE x = 1");
  assertEquals(kept.length, 4, "What the handler itself has committed stays");
  await store.transaction(async (tx) => {
    assert(!await store.save("b.1.0", { revision: 1, body: "taken" }, tx), "A conflict is none");
    assert(await store.save("a.1.0", { revision: 1, body: "{}" }, tx), "It goes on");
  });
});

everywhere("a transaction gives what its work gives, and its own error", async (db) => {
  const store = db.store();
  const values = [undefined, null, 0, [1, 2], { rows: [] }, Promise.resolve(3)];
  assertEquals(await store.transaction(() => Promise.resolve(values)), values);
  const reason = Object.freeze({ no: "error" });
  const thrown = await store.transaction(() => Promise.reject(reason)).catch((error) => error);
  assertEquals(thrown, reason);
});

everywhere("stores that begin at once make the table once", async (db) => {
  const stores = Array.from({ length: 6 }, () => db.store("begin"));
  const saved = await Promise.all(
    stores.map((store, at) => store.save("a", { revision: 1, body: `${at}` })),
  );
  assertEquals(saved.filter(Boolean).length, 1);
});

const create = (table: string) =>
  `CREATE TABLE ${table} (id text PRIMARY KEY, note text); CREATE INDEX ON ${table} (note)`;

everywhere("partitions rebuild a read model side by side while it is read", async (db) => {
  const table = new VersionedTable("orders", create);
  await db.prepare(table);
  await db.prepare(table); // again, as each process does
  const read = async () => (await db.run("SELECT note FROM orders")).map(({ note }) => note);
  assertEquals(await read(), [], "Readers may ask before the first event");
  await using store = new InMemoryEventStore();
  let fails = true;
  const errors: unknown[] = [];
  const projection = new Projection<PostgresQueryable>({
    name: "orders",
    store,
    checkpoints: db.store(),
    partitions: 4,
    handler: async (event, context) => {
      const name = await table.of(context);
      const text = `INSERT INTO ${name} VALUES ('${event.actorId}', 'version ${context.version}')`;
      await db.run(text, context.tx);
      if (fails) { // with it goes the table that this transaction may have made
        fails = false;
        throw new Error("once");
      }
    },
    retry: { delay: 1 },
    onError: (error) => void errors.push(error),
    onSwitch: (version, tx) => table.switchTo(version, tx),
  });
  const running = projection.run();
  running.catch(() => {}); // A test that fails before it waits shows its own error.
  for (let order = 0; order < 40; order++) {
    await appendEvents(store, `order-${order}`, 0, [{ eventType: "Placed", data: null }]);
  }
  await projection.caughtUp;
  assertEquals(await read(), Array(40).fill("version 1"));
  for (const version of [2, 3]) {
    assertEquals(await projection.rebuild(), version);
    assertEquals(await read(), Array(40).fill(`version ${version}`));
    const tables = await db.run(
      "SELECT relname FROM pg_class WHERE relname LIKE 'orders%' AND relkind IN ('r', 'v') ORDER BY 1",
    );
    assertEquals(tables.map(({ relname }) => relname), ["orders", `orders_v${version}`]);
  }
  await projection[Symbol.asyncDispose]();
  await running;
  assertEquals(errors.map((error) => (error as Error).message).filter((it) => it !== "once"), []);
});

everywhere("a schema, a word of SQL as a name, and foreign tables", async (db) => {
  await db.run("CREATE SCHEMA shop");
  await db.run("CREATE TABLE shop.order_v1_old (x int)");
  await db.run("CREATE TABLE public.order_v1 (x int)");
  const table = new VersionedTable("shop.order", create);
  await db.prepare(table);
  await db.store("shop.user").transaction((tx) => table.switchTo(3, tx));
  assertEquals(await db.run('SELECT * FROM shop."order"'), []);
  const names = await db.run(
    "SELECT schemaname || '.' || tablename AS name FROM pg_tables " +
      "WHERE schemaname IN ('shop', 'public') ORDER BY 1",
  );
  assertEquals(names.map(({ name }) => name), [
    "public.order_v1",
    "shop.order_v1_old",
    "shop.order_v3",
    "shop.user",
  ]);
});

everywhere("create() that does not use the name is found at the first event", async (db) => {
  const table = new VersionedTable("orders", () => "CREATE TABLE orders_of_mine (id text)");
  await assertRejects(() => db.prepare(table), TypeError, "create() made no table of this name");
  assertEquals(await db.run("SELECT * FROM pg_tables WHERE tablename LIKE 'orders%'"), []);
});

everywhere("a table of somebody else in the place of the view is not passed for it", async (db) => {
  await db.run("CREATE TABLE orders (id text)");
  const table = new VersionedTable("orders", create);
  await assertRejects(() => db.prepare(table), Error, '"orders" already exists');
  await db.store().transaction(async (tx) => {
    await assertRejects(() => table.of({ tx, version: 1 }), Error, '"orders" already exists');
    throw new Error("enough");
  }).catch((error) => assertEquals(error.message, "enough"));
  assertEquals(await db.run("SELECT * FROM pg_tables WHERE tablename LIKE 'orders_v%'"), []);
});

everywhere("a table that goes with its savepoint is made again", async (db) => {
  const table = new VersionedTable("orders", create);
  await db.store().transaction(async (tx) => {
    for (const _time of [1, 2, 3]) {
      await db.run("SAVEPOINT a", tx);
      await table.of({ tx, version: 1 });
      await table.of({ tx, version: 1 }); // which finds what the first call has made
      await db.run("ROLLBACK TO a", tx);
    }
    await db.run(`INSERT INTO ${await table.of({ tx, version: 1 })} VALUES ('order-1', '')`, tx);
  });
  assertEquals((await db.run("SELECT id FROM orders")).length, 1);
});

Deno.test("a table that goes with a transaction of the caller's own is made again", async () => {
  await using db = pglite();
  const store = db.store();
  await db.run("BEGIN");
  for (const _time of [1, 2]) assertEquals(await store.load("a"), undefined);
  await db.run("ROLLBACK");
  assertEquals(await store.load("a"), undefined);
  assert(await store.save("a", { revision: 1, body: "{}" }));
});

Deno.test("PostgreSQL in PGlite", async (t) => {
  await using db = pglite();
  for (const [name, run] of inProcess) {
    await t.step(name, async (t) => {
      await run(db, t);
      await db.empty();
    });
  }
});

Deno.test("a name cannot hold SQL, and what is no client is refused", async () => {
  await using db = pglite();
  for (const table of ["", "Upper", 'a"; DROP TABLE b; --', "a.b.c", ".a", "a.", "x".repeat(51)]) {
    assertThrows(() => db.store(table === "" ? " " : table), RangeError, "Cannot use");
    assertThrows(() => new VersionedTable(table, () => ""), RangeError, "Cannot use");
  }
  for (const odd of [undefined, null, {}, () => {}, new pg.Client(), { query() {} }]) {
    assertThrows(
      () => new PostgresCheckpointStore(odd as unknown as pg.Pool),
      TypeError,
      "no Pool of pg",
    );
  }
});
