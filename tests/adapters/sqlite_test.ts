import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore, VersionedTable } from "../../adapters/sqlite/mod.ts";
import { appendEvents, InMemoryEventStore, Projection } from "../../store/mod.ts";
import { checkpointStoreSuite } from "../../testing/checkpoint_store.ts";

/** A folder for the files of a test. */
async function folder() {
  const path = await Deno.makeTempDir({ prefix: "aether-sqlite-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

for (const journal of ["DELETE", "WAL"]) {
  let path = "";
  checkpointStoreSuite<DatabaseSync>({
    test: (name, run) =>
      Deno.test(`SqliteCheckpointStore, ${journal}: ${name}`, async () => {
        await using place = await folder();
        path = place.path;
        await run();
      }),
    create: ({ namespace }) => {
      const db = new DatabaseSync(`${path}/${namespace}.db`);
      db.exec(`PRAGMA journal_mode = ${journal}`);
      const close = { [Symbol.asyncDispose]: () => Promise.resolve(db.close()) };
      return Object.assign(new SqliteCheckpointStore(db), close);
    },
    capabilities: { reopen: true },
  });
}

const connections = new Map<string, DatabaseSync>();
checkpointStoreSuite<DatabaseSync>({
  test: (name, run) =>
    Deno.test(`SqliteCheckpointStore, one connection: ${name}`, async () => {
      await run();
      for (const db of connections.values()) db.close();
      connections.clear();
    }),
  create: ({ namespace }) => {
    const db = connections.get(namespace) ?? new DatabaseSync(":memory:");
    connections.set(namespace, db);
    return new SqliteCheckpointStore(db);
  },
  capabilities: { reopen: true },
});

Deno.test("transactions of two connections of one process wait for each other", async () => {
  await using place = await folder();
  using one = new DatabaseSync(`${place.path}/a.db`);
  using two = new DatabaseSync(`${place.path}/a.db`);
  one.exec("CREATE TABLE counts (worker TEXT)");
  const counts = await Promise.all(
    [one, two].map(async (db, worker) => {
      const store = new SqliteCheckpointStore(db);
      let won = 0;
      for (let revision = 1; revision <= 20; revision++) {
        await store.transaction(async (tx) => {
          await new Promise((resolve) => setTimeout(resolve)); // SQLite's own wait would hold this up
          tx.prepare("INSERT INTO counts VALUES (?)").run(`${worker}`);
          const isSaved = await store.save("a.1.0", { revision, body: "{}" }, tx);
          if (!isSaved) throw new Error("taken");
          won++;
        }).catch((error: Error) => assertEquals(error.message, "taken"));
      }
      return won;
    }),
  );
  const rows = one.prepare("SELECT * FROM counts").all();
  assertEquals(rows.length, counts[0]! + counts[1]!, "Rows are those of commits");
  assertEquals((await new SqliteCheckpointStore(two).load("a.1.0"))?.revision, rows.length);
});

Deno.test("two stores on one connection take turns", async () => {
  using db = new DatabaseSync(":memory:");
  const [one, two] = [new SqliteCheckpointStore(db), new SqliteCheckpointStore(db)];
  const [begun, failing] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const failed = one.transaction(() => {
    begun.resolve();
    return failing.promise;
  }).catch((error: Error) => error.message);
  await begun.promise;
  const saved = two.save("b.control", { revision: 1, body: "{}" });
  const committed = two.transaction(() => Promise.resolve("committed"));
  await new Promise((resolve) => setTimeout(resolve)); // time for those that take no turn
  failing.reject(new Error("failed"));
  assertEquals(await Promise.all([failed, saved, committed]), ["failed", true, "committed"]);
  assertEquals(await two.load("b.control"), { revision: 1, body: "{}" });
});

Deno.test("a handler that ends the transaction saves no position", async () => {
  using db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (x INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
  const store = new SqliteCheckpointStore(db);
  const again = "INSERT OR ROLLBACK INTO t VALUES (1)";
  for (const end of ["ROLLBACK", "ROLLBACK; BEGIN", again, `${again}; BEGIN`]) {
    const doomed = store.transaction(async (tx) => {
      tx.exec("INSERT INTO t VALUES (2)");
      for (const text of end.split("; ")) {
        try {
          tx.exec(text);
        } catch {
          // As a handler would that knows duplicates.
        }
      }
      await store.save("a.1.0", { revision: 1, body: "{}" }, tx);
    });
    await assertRejects(() => doomed, Error, "the handler has ended it", end);
    assertEquals(await store.load("a.1.0"), undefined, end);
    assertEquals(db.prepare("SELECT * FROM t").all().length, 1, end);
  }
  await store.transaction((tx) => Promise.resolve(tx.exec("SAVEPOINT own"))); // left open
  assert(await store.save("a.1.0", { revision: 1, body: "{}" }), "It goes on");
});

Deno.test("a handler that ends the transaction saves no position, where nobody knows of it", async () => {
  using db = new DatabaseSync(":memory:");
  Object.defineProperty(db, "isTransaction", { value: undefined }); // as before Node 22.16
  const store = new SqliteCheckpointStore(db);
  const save = (tx: DatabaseSync) => store.save("a.1.0", { revision: 1, body: "{}" }, tx);
  for (const end of ["ROLLBACK", "COMMIT", "ROLLBACK; BEGIN"]) {
    const doomed = store.transaction((tx) => {
      tx.exec(end);
      return save(tx);
    });
    await assertRejects(() => doomed, Error, "the handler has ended it", end);
    assertEquals(await store.load("a.1.0"), undefined, end);
  }
  assert(await store.transaction((tx) => save(tx)), "It goes on");
});

Deno.test("a table that goes with a transaction of the caller's own is made again", async () => {
  using db = new DatabaseSync(":memory:");
  const store = new SqliteCheckpointStore(db);
  db.exec("BEGIN");
  assertEquals(await store.load("a"), undefined);
  db.exec("ROLLBACK");
  assertEquals(await store.load("a"), undefined);
  assert(await store.save("a", { revision: 1, body: "{}" }));
});

Deno.test("a transaction of another database is refused", async () => {
  using db = new DatabaseSync(":memory:");
  using other = new DatabaseSync(":memory:");
  const store = new SqliteCheckpointStore(db);
  await assertRejects(
    () => store.save("a", { revision: 1, body: "" }, other),
    TypeError,
    "not the database of the store",
  );
});

Deno.test("a database that is closed rejects each call with its own error", async () => {
  const db = new DatabaseSync(":memory:");
  const store = new SqliteCheckpointStore(db);
  await store.save("a", { revision: 1, body: "" });
  db.close();
  await assertRejects(() => store.load("a"), Error, "not open");
  await assertRejects(() => store.transaction(() => Promise.resolve()), Error, "not open");
});

Deno.test("two tables are two stores, and a name cannot hold SQL", async () => {
  using db = new DatabaseSync(":memory:");
  const one = new SqliteCheckpointStore(db);
  const two = new SqliteCheckpointStore(db, { table: "order" });
  assert(await one.save("a", { revision: 1, body: "one" }));
  assert(await two.save("a", { revision: 1, body: "two" }));
  assertEquals((await one.load("a"))?.body, "one");
  for (const table of ["", "Upper", "a b", 'a"; DROP TABLE b; --', "1a", "a.b", "x".repeat(51)]) {
    assertThrows(() => new SqliteCheckpointStore(db, { table }), RangeError, "Cannot use");
    assertThrows(() => new VersionedTable(table, () => ""), RangeError, "Cannot use");
  }
});

const orders = () =>
  new VersionedTable("orders", (table) => `CREATE TABLE ${table} (id TEXT PRIMARY KEY, note TEXT)`);
const read = (db: DatabaseSync) =>
  db.prepare("SELECT id, note FROM orders ORDER BY id").all().map((row) => ({ ...row }));

Deno.test("a rebuild writes a table of its own, and moves the view when it has caught up", async () => {
  using db = new DatabaseSync(":memory:");
  const table = orders();
  table.prepare(db);
  assertEquals(read(db), [], "Readers may ask before the first event");
  await using store = new InMemoryEventStore();
  let fails = true;
  const projection = new Projection<DatabaseSync>({
    name: "orders",
    store,
    checkpoints: new SqliteCheckpointStore(db),
    handler: (event, context) => {
      context.tx.prepare(`INSERT INTO ${table.of(context)} VALUES (?, ?)`)
        .run(event.actorId, `version ${context.version}`);
      if (fails) { // with it goes the table that this transaction has made
        fails = false;
        throw new Error("once");
      }
    },
    retry: { delay: 1 },
    onError: () => {},
    onSwitch: (version, tx) => table.switchTo(version, tx),
  });
  const running = projection.run();
  for (const id of ["order-1", "order-2"]) {
    await appendEvents(store, id, 0, [{ eventType: "Placed", data: null }]);
  }
  await projection.caughtUp;
  assertEquals(read(db).map(({ note }) => note), ["version 1", "version 1"]);
  for (const version of [2, 3]) {
    assertEquals(await projection.rebuild(), version);
    assertEquals(read(db).map(({ note }) => note), [`version ${version}`, `version ${version}`]);
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE name LIKE 'orders%' ORDER BY 1")
      .all().map(({ name }) => name);
    assertEquals(tables, ["orders", `orders_v${version}`]);
  }
  await projection[Symbol.asyncDispose]();
  await running;
});

Deno.test("a database that gives rows as arrays, and integers as bigints, is read all the same", async () => {
  for (const options of [{ returnArrays: true }, { readBigInts: true }]) {
    const db = new DatabaseSync(":memory:", options as { open?: boolean });
    const checkpoints = new SqliteCheckpointStore(db);
    assertEquals(await checkpoints.load("orders"), undefined);
    assertEquals(await checkpoints.save("orders", { revision: 1, body: "{}" }), true);
    assertEquals(await checkpoints.load("orders"), { revision: 1, body: "{}" });
    const table = new VersionedTable("orders", (name) => `CREATE TABLE ${name} (id TEXT)`);
    table.prepare(db);
    table.switchTo(2, db);
    assertThrows(() => db.exec("SELECT * FROM orders_v1"), Error, "no such table");
    db.close();
  }
});

Deno.test("a rebuild without events shows an empty table, and foreign tables stay", () => {
  using db = new DatabaseSync(":memory:");
  db.exec(
    "CREATE TABLE orders_v1_old (x); CREATE TABLE orders_v01 (x); CREATE TABLE xorders_v1 (x)",
  );
  const table = orders();
  table.prepare(db);
  table.prepare(db); // again, as each process does
  table.switchTo(4, db);
  assertEquals(read(db), []);
  const names = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1").all();
  assertEquals(names.map(({ name }) => name), [
    "orders_v01",
    "orders_v1_old",
    "orders_v4",
    "xorders_v1",
  ]);
});

Deno.test("create() that does not use the name is found at the first event", () => {
  using db = new DatabaseSync(":memory:");
  const table = new VersionedTable("orders", () => "CREATE TABLE orders_of_mine (id TEXT)");
  assertThrows(
    () => table.of({ tx: db, version: 1 }),
    TypeError,
    'Cannot use table "orders_v1": create() made no table of this name',
  );
});
