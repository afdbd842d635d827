import { checkSuite } from "./check_suite.ts";
import type { CheckpointStore } from "../store/projection/checkpoint_store.ts";
import { equal, ok, rejects } from "./assert.ts";
import { turns } from "./event_store/kit.ts";
import { staged } from "./stage.ts";

/** Abilities of an implementation beyond the contract itself. */
export interface CheckpointStoreCapabilities {
  /**
   * Whether `create` with the same namespace again returns another store over the same checkpoints.
   */
  readonly reopen: boolean;
}

/** Options for {@linkcode checkpointStoreSuite}. */
export interface CheckpointStoreSuite<Tx = undefined> {
  /** Registers a test with any runner; a test that failed rejects with a plain `Error`. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** Registers a test that is left out, with the reason. @default {nothing is registered} */
  readonly skip?: (name: string, reason: string) => void;
  /** Opens a store; each test has a namespace of its own. The suite disposes disposable stores. */
  readonly create: (
    options: { readonly namespace: string },
  ) => OpenedCheckpointStore<Tx> | Promise<OpenedCheckpointStore<Tx>>;
  /** Abilities of the implementation beyond the contract itself. */
  readonly capabilities: CheckpointStoreCapabilities;
}

/** A store that the suite disposes, if it is disposable. */
export type OpenedCheckpointStore<Tx> = CheckpointStore<Tx> & Partial<AsyncDisposable>;

type Open<Tx> = () => Promise<CheckpointStore<Tx>>;
type Register<Tx> = (name: string, run: (open: Open<Tx>) => Promise<void>) => void;

/**
 * The promises of a {@linkcode CheckpointStore} as tests, to be run on each implementation. Tests
 * of transactions run if the store has them. Needs no runner of its own and waits for events, never
 * for a fixed time.
 *
 * @example Hold a store to the promises
 * ```ts
 * import { InMemoryCheckpointStore } from "@flowmade-one/aether";
 * import { checkpointStoreSuite } from "@flowmade-one/aether/testing";
 *
 * const tests = new Map<string, () => Promise<void>>();
 * checkpointStoreSuite({
 *   test: (name, run) => tests.set(name, run), // or Deno.test, or test of node:test
 *   create: () => new InMemoryCheckpointStore(),
 *   capabilities: { reopen: false },
 * });
 * await tests.get("a save needs the stored revision, or changes nothing")!();
 * ```
 */
export function checkpointStoreSuite<Tx = undefined>(suite: CheckpointStoreSuite<Tx>): void {
  checkSuite(suite);
  const { create, capabilities, skip = () => {} } = suite;
  const stage = staged<OpenedCheckpointStore<Tx>, unknown>(suite.test, create);
  const test: Register<Tx> = (name, run) => stage(name, ({ open }) => run(open));
  const together: Register<Tx> = capabilities.reopen
    ? test
    : (name) => skip(name, "a store's checkpoints are its own");
  saves(test, together);
  transactions(test, together);
}

function saves<Tx>(test: Register<Tx>, together: Register<Tx>): void {
  test("a key that was never saved has no entry", async (open) => {
    equal(await (await open()).load("orders.control"), undefined, "the stored checkpoint");
  });

  test("a save needs the stored revision, or changes nothing", async (open) => {
    const store = await open();
    const save = (revision: number, body: string) => store.save("orders.1.0", { revision, body });
    equal(await save(2, "too early"), false, "a second revision without a first");
    equal(await save(1, "one"), true, "the first revision");
    equal(await save(1, "again"), false, "the first revision once more");
    equal(await save(3, "too far"), false, "the third revision after the first");
    equal(await store.load("orders.1.0"), { revision: 1, body: "one" }, "the stored checkpoint");
    for (let revision = 2; revision <= 20; revision++) {
      equal(await save(revision, `now ${revision}`), true, `revision ${revision}`);
      equal(
        await store.load("orders.1.0"),
        { revision, body: `now ${revision}` },
        "the stored checkpoint",
      );
    }
    equal(await save(20, "late"), false, "the last revision once more");
  });

  test("keys are independent", async (open) => {
    const store = await open();
    const keys = ["orders.control", "orders.1.0", "orders.1.00", "orders.1.1", "order=73.1.0"];
    for (const [at, key] of keys.entries()) {
      equal(await store.save(key, { revision: 1, body: `body ${at}` }), true, key);
    }
    for (const [at, key] of keys.entries()) {
      equal(await store.load(key), { revision: 1, body: `body ${at}` }, key);
    }
  });

  test("bodies come back unchanged", async (open) => {
    const store = await open();
    const bodies = ["{}", "\"'\\\n\r\t\u2028", "Grüße 🚀", "x".repeat(100_000), " 1 2 "];
    for (const [at, body] of bodies.entries()) {
      ok(await store.save("orders.1.0", { revision: at + 1, body }), `body ${at} is saved`);
      equal(await store.load("orders.1.0"), { revision: at + 1, body }, `body ${at}`);
    }
  });

  test("exactly one of many saves at one revision wins", async (open) => {
    const store = await open();
    for (let revision = 1; revision <= 5; revision++) {
      const outcomes = await Promise.all(
        Array.from(
          { length: 20 },
          (_, at) => store.save("orders.1.0", { revision, body: `${revision} ${at}` }),
        ),
      );
      equal(outcomes.filter((won) => won).length, 1, `saves that won at revision ${revision}`);
      const body = `${revision} ${outcomes.indexOf(true)}`;
      equal(await store.load("orders.1.0"), { revision, body }, "the stored checkpoint");
    }
  });

  together(
    "another store over the same checkpoints sees each save, and takes its turn",
    async (open) => {
      const stores = [await open(), await open()];
      for (let revision = 1; revision <= 20; revision++) {
        const outcomes = await Promise.all(
          stores.map((store, at) =>
            store.save("orders.1.0", { revision, body: `${revision} ${at}` })
          ),
        );
        equal(outcomes.filter((won) => won).length, 1, `saves that won at revision ${revision}`);
        const body = `${revision} ${outcomes.indexOf(true)}`;
        for (const store of stores) {
          equal(await store.load("orders.1.0"), { revision, body }, "the stored checkpoint");
        }
      }
    },
  );
}

function transactions<Tx>(test: Register<Tx>, together: Register<Tx>): void {
  test("a transaction commits its save, or undoes it and rejects with the reason", async (open) => {
    const store = await open();
    if (store.transaction === undefined) return;
    const result = await store.transaction(async (tx) => {
      ok(await store.save("orders.1.0", { revision: 1, body: "one" }, tx), "the save is taken");
      return "result";
    });
    equal(result, "result", "the result of the transaction");
    equal(await store.load("orders.1.0"), { revision: 1, body: "one" }, "the stored checkpoint");
    const undone = store.transaction(async (tx) => {
      ok(await store.save("orders.1.0", { revision: 2, body: "two" }, tx), "the save is taken");
      throw new RangeError("not this one");
    });
    await rejects(() => undone, "RangeError", "a transaction that fails");
    equal(await store.load("orders.1.0"), { revision: 1, body: "one" }, "the checkpoint after it");
    equal(await store.save("orders.1.0", { revision: 2, body: "now" }), true, "a later save");
  });

  test("exactly one of many transactions at one revision commits", async (open) => {
    const store = await open();
    if (store.transaction === undefined) return;
    for (let revision = 1; revision <= 5; revision++) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, (_, at) =>
          store.transaction!(async (tx) => {
            await Promise.resolve();
            const next = { revision, body: `${revision} ${at}` };
            if (!await store.save("orders.1.0", next, tx)) throw new Error("stale");
          })),
      );
      const won = outcomes.findIndex(({ status }) => status === "fulfilled");
      equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1, "commits");
      equal(
        await store.load("orders.1.0"),
        { revision, body: `${revision} ${won}` },
        "the stored checkpoint",
      );
    }
  });

  test("a save outlives a transaction that fails beside it", async (open) => {
    const store = await open();
    await saveBeside(store, store);
  });

  together("a save outlives a transaction of another store that fails beside it", async (open) => {
    await saveBeside(await open(), await open());
  });
}

/** Saves while a transaction is open, which then fails; the save may wait for its end. */
async function saveBeside<Tx>(
  failing: CheckpointStore<Tx>,
  saving: CheckpointStore<Tx>,
): Promise<void> {
  if (failing.transaction === undefined) return;
  const [open, ends] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const undone = failing.transaction(async (tx) => {
    ok(await failing.save("orders.1.0", { revision: 1, body: "undone" }, tx), "the save is taken");
    open.resolve();
    await ends.promise;
  });
  undone.catch(open.reject);
  await open.promise;
  const saved = saving.save("orders.1.1", { revision: 1, body: "kept" });
  await turns(); // so that one that takes no turn is inside the transaction
  ends.reject(new RangeError("not this one"));
  await rejects(() => undone, "RangeError", "a transaction that fails");
  equal(await saved, true, "the save beside it");
  for (const store of [failing, saving]) {
    equal(await store.load("orders.1.0"), undefined, "the checkpoint of the transaction");
    equal(await store.load("orders.1.1"), { revision: 1, body: "kept" }, "the one beside it");
  }
}
