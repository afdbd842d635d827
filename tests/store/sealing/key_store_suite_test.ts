import { assert } from "@std/assert";
import { FORGOTTEN, InMemoryKeyStore, type KeyStore, KvKeyStore } from "../../../store/mod.ts";
import { keyStoreSuite } from "../../../testing/mod.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

keyStoreSuite({
  test: (name, run) => Deno.test(`InMemoryKeyStore: ${name}`, run),
  create: () => new InMemoryKeyStore(),
  capabilities: { reopen: false },
});

let scene: Scene;

keyStoreSuite({
  test: (name, run) =>
    natsTest(`KvKeyStore: ${name}`, async (own) => {
      scene = own;
      await run();
    }),
  create: async ({ namespace }) => await KvKeyStore.open(await scene.connect(), { namespace }),
  capabilities: { reopen: true },
});

/** A store with one promise broken must fail the test of that promise. */
function control(broken: string, caughtBy: string, change: (keys: KeyStore) => Partial<KeyStore>) {
  Deno.test(`the suite catches a key store that ${broken}`, async () => {
    const tests = new Map<string, () => Promise<void>>();
    keyStoreSuite({
      test: (name, run) => void tests.set(name, run),
      create: () => Object.assign(new InMemoryKeyStore(), change(new InMemoryKeyStore())),
      capabilities: { reopen: true },
    });
    const failure = await tests.get(caughtBy)!().then(() => undefined, (error: unknown) => error);
    assert(failure instanceof Error, `"${caughtBy}" passes`);
  });
}

const FORGETS = "a forgotten key never comes back, and there is no other one";
control("makes a key in place of a forgotten one", FORGETS, () => ({
  getOrCreate: () => Promise.resolve(crypto.getRandomValues(new Uint8Array(32))),
}));
control("gives no mark", "a subject without a key can be forgotten, and gets none", (keys) => ({
  forget: () => Promise.resolve(false),
  get: (subject) => keys.get(subject),
}));
control("says that it has dropped a key each time", FORGETS, () => ({
  forget: () => Promise.resolve(true),
}));
control("takes a lack of keys for forgetting", "a subject has no key until one is made", () => ({
  get: () => Promise.resolve(FORGOTTEN),
}));
control("has its keys to itself", "callers in any number of processes get one key", () => ({}));
