import { checkSuite } from "../check_suite.ts";
import { FORGOTTEN } from "../../store/codec.ts";
import type { KeyStore } from "../../store/sealing/key_store.ts";
import { equal, ok } from "../assert.ts";
import { staged } from "../stage.ts";

/** Abilities of an implementation beyond the contract itself. */
export interface KeyStoreCapabilities {
  /** Whether `create` with the same namespace again returns another store over the same keys. */
  readonly reopen: boolean;
}

/** Options for {@linkcode keyStoreSuite}. */
export interface KeyStoreSuite {
  /** Registers a test with any runner; a test that failed rejects with a plain `Error`. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** Registers a test that is left out, with the reason. @default {nothing is registered} */
  readonly skip?: (name: string, reason: string) => void;
  /** Opens a store; each test has a namespace of its own. The suite disposes disposable stores. */
  readonly create: (
    options: { readonly namespace: string },
  ) => OpenedKeyStore | Promise<OpenedKeyStore>;
  /** Abilities of the implementation beyond the contract itself. */
  readonly capabilities: KeyStoreCapabilities;
}

/** A store that the suite disposes, if it is disposable. */
export type OpenedKeyStore = KeyStore & Partial<AsyncDisposable>;

type Open = () => Promise<KeyStore>;
type Register = (name: string, run: (open: Open) => Promise<void>) => void;

/** Callers that ask for one key at once. */
const CALLERS = 20;
/** Ids that something might take for others: of other forms, or in another case. */
const SUBJECTS = ["a", "A", "a-1", "a.1", "a/1", "a 1", "ä", "a*", "a>", "=41", "__proto__"];

/**
 * The promises of a {@linkcode KeyStore} as tests, to be run on each implementation. Needs no runner
 * of its own and waits for answers, never for a while.
 *
 * An implementation tests outages itself: a store that cannot be reached rejects, and never gives
 * `FORGOTTEN` for that.
 *
 * @example Hold a store to the promises
 * ```ts
 * import { InMemoryKeyStore } from "@flowmade-one/aether";
 * import { keyStoreSuite } from "@flowmade-one/aether/testing";
 *
 * const tests = new Map<string, () => Promise<void>>();
 * keyStoreSuite({
 *   test: (name, run) => tests.set(name, run), // or Deno.test, or test of node:test
 *   create: () => new InMemoryKeyStore(),
 *   capabilities: { reopen: false },
 * });
 * await tests.get("a forgotten key never comes back, and there is no other one")!();
 * ```
 */
export function keyStoreSuite(suite: KeyStoreSuite): void {
  checkSuite(suite);
  const { create, capabilities, skip = () => {} } = suite;
  const stage = staged<OpenedKeyStore, unknown>(suite.test, create);
  const test: Register = (name, run) => stage(name, ({ open }) => run(open));
  const reason = "a store's keys are its own";
  keys(test, capabilities.reopen ? test : (name) => skip(name, reason));
  forgetting(test, capabilities.reopen ? test : (name) => skip(name, reason));
}

function keys(test: Register, together: Register): void {
  test("a subject has no key until one is made", async (open) => {
    const store = await open();
    equal(await store.get("a"), undefined, "the key");
    equal(await store.get("a"), undefined, "the key, asked for again");
  });

  test("a key is 32 bytes, and stays the same", async (open) => {
    const store = await open();
    const key = await madeIn(store, "a");
    equal(key.length, 32, "its bytes");
    equal(await madeIn(store, "a"), key, "the key, made again");
    equal(await store.get("a"), key, "the key");
  });

  test("each subject has a key of its own", async (open) => {
    const store = await open();
    const made = await Promise.all(SUBJECTS.map((subject) => madeIn(store, subject)));
    equal(new Set(made.map(String)).size, SUBJECTS.length, "different keys");
    for (const [at, subject] of SUBJECTS.entries()) {
      equal(await store.get(subject), made[at], `key of ${JSON.stringify(subject)}`);
    }
  });

  test("a caller that changes a key changes no other one's", async (open) => {
    const store = await open();
    const key = await madeIn(store, "a");
    const copy = key.slice();
    key.fill(0);
    const again = await madeIn(store, "a");
    equal(again, copy, "the key");
    again.fill(0);
    equal(await store.get("a"), copy, "the key, asked for again");
  });

  test("callers at once get one key", async (open) => {
    const store = await open();
    const made = await Promise.all(Array.from({ length: CALLERS }, () => madeIn(store, "a")));
    equal(new Set(made.map(String)).size, 1, "different keys");
    equal(await store.get("a"), made[0], "the key");
  });

  together("callers in any number of processes get one key", async (open) => {
    const stores = await Promise.all(Array.from({ length: 4 }, open));
    const calls = Array.from({ length: CALLERS }, (_, at) => madeIn(stores[at % 4]!, "a"));
    const made = await Promise.all(calls);
    equal(new Set(made.map(String)).size, 1, "different keys");
    for (const store of stores) equal(await store.get("a"), made[0], "the key");
  });
}

function forgetting(test: Register, together: Register): void {
  test("a forgotten key never comes back, and there is no other one", async (open) => {
    const store = await open();
    await madeIn(store, "a");
    const other = await madeIn(store, "b");
    equal(await store.forget("a"), true, "whether it has dropped a key");
    for (const _ of [1, 2]) {
      equal(await store.get("a"), FORGOTTEN, "the key");
      equal(await store.getOrCreate("a"), FORGOTTEN, "the key, made anew");
      equal(await store.forget("a"), false, "whether it has dropped one again");
    }
    equal(await store.get("b"), other, "the key of another subject");
  });

  test("a subject without a key can be forgotten, and gets none", async (open) => {
    const store = await open();
    equal(await store.forget("a"), false, "whether it has dropped a key");
    equal(await store.getOrCreate("a"), FORGOTTEN, "the key, made anew");
    equal(await store.get("a"), FORGOTTEN, "the key");
    equal(await store.get("b"), undefined, "the key of another subject");
  });

  test("of callers at once, one drops the key", async (open) => {
    const store = await open();
    await madeIn(store, "a");
    const dropped = await Promise.all(Array.from({ length: CALLERS }, () => store.forget("a")));
    equal(dropped.filter((it) => it).length, 1, "callers that have dropped it");
  });

  together("what one process forgets is forgotten for all, also while they ask", async (open) => {
    const [one, other] = await Promise.all([open(), open()]);
    const made = await madeIn(other!, "a");
    const asked = Promise.all(Array.from({ length: CALLERS }, () => other!.getOrCreate("a")));
    await one!.forget("a");
    for (const key of await asked) {
      ok(key === FORGOTTEN || String(key) === String(made), "no other key was made");
    }
    for (const store of [one!, other!, await open()]) {
      equal(await store.get("a"), FORGOTTEN, "the key");
      equal(await store.getOrCreate("a"), FORGOTTEN, "the key, made anew");
    }
  });
}

async function madeIn(store: KeyStore, subject: string): Promise<Uint8Array> {
  const key = await store.getOrCreate(subject);
  ok(key !== FORGOTTEN, `${JSON.stringify(subject)} is not forgotten`);
  ok(key instanceof Uint8Array, `the key of ${JSON.stringify(subject)} is bytes`);
  return key;
}
