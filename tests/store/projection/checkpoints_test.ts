import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CheckpointStore,
  CorruptCheckpointError,
  InMemoryCheckpointStore,
  KvCheckpointStore,
  type SavedCheckpoint,
} from "../../../store/mod.ts";
import { checkpointStoreSuite } from "../../../testing/checkpoint_store.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

checkpointStoreSuite({
  test: (name, run) => Deno.test(`InMemoryCheckpointStore: ${name}`, run),
  create: () => new InMemoryCheckpointStore(),
  capabilities: { reopen: false },
});

let scene: Scene | undefined;

checkpointStoreSuite({
  test: (name, run) =>
    natsTest(`KvCheckpointStore: ${name}`, async (own) => {
      scene = own;
      await run();
    }),
  create: async ({ namespace }) =>
    await KvCheckpointStore.open(await scene!.connect(), { namespace }),
  capabilities: { reopen: true },
});

natsTest("A save whose answer is lost is settled by loading", async (own) => {
  const proxy = own.proxy();
  const connection = await own.connect({ servers: proxy.url });
  const options = { namespace: own.namespace, timeout: 1_000 };
  await using store = await KvCheckpointStore.open(connection, options);
  await store.save("orders.1.0", { revision: 1, body: "one" });
  const meal = proxy.eatFromServer(
    (frame) => new TextDecoder().decode(frame.payload).includes('"seq"'),
    1,
  );
  const lost = await store.save("orders.1.0", { revision: 2, body: "two" })
    .catch((error: Error) => error);
  await meal.done;
  assert(lost instanceof Error, "Nobody knows");
  const standing = await store.load("orders.1.0");
  assert(standing?.revision === 2 && standing.body === "two");
  assert(await store.save("orders.1.0", { revision: 3, body: "three" }));
});

natsTest(
  "A checkpoint without its number is reported as corrupt, and then may be replaced",
  async (own) => {
    const connection = await own.connect();
    await using store = await KvCheckpointStore.open(connection, { namespace: own.namespace });
    const body = JSON.stringify({ at: 1 });
    for (const value of [body, ` ${body}`, `0 ${body}`, `1.5 ${body}`]) {
      const key = `orders.${value.length}.0`;
      await connection.request(`$KV.${store.bucket}.checkpoint.${key}`, value);
      for (const _time of [1, 2]) {
        const error = await assertRejects(() => store.load(key), CorruptCheckpointError);
        assertEquals(error.key, key);
        await assertRejects(() => store.save(key, { revision: 2, body }), CorruptCheckpointError);
      }
      assert(await store.save(key, { revision: 1, body }), "Who was told of it may begin anew");
      assertEquals(await store.load(key), { revision: 1, body });
    }
  },
);

/** A store with one promise broken must fail the tests of that promise. */
function control(
  broken: string,
  create: () => CheckpointStore<unknown>,
  caughtBy: string[],
  reopen = false,
): void {
  Deno.test(`the suite catches a checkpoint store that ${broken}`, async () => {
    const tests = new Map<string, () => Promise<void>>();
    checkpointStoreSuite<unknown>({
      test: (name, run) => void tests.set(name, run),
      create,
      capabilities: { reopen },
    });
    for (const name of caughtBy) {
      const failure = await tests.get(name)!().then(() => undefined, (error: unknown) => error);
      assert(failure instanceof Error, `"${name}" passes`);
    }
  });
}

/** Compares nothing. */
class LastWins extends InMemoryCheckpointStore {
  readonly #saved = new Map<string, SavedCheckpoint>();

  override load(key: string): Promise<SavedCheckpoint | undefined> {
    return Promise.resolve(this.#saved.get(key));
  }

  override save(key: string, checkpoint: SavedCheckpoint): Promise<boolean> {
    this.#saved.set(key, checkpoint);
    return Promise.resolve(true);
  }
}

control("keeps what came last", () => new LastWins(), [
  "a save needs the stored revision, or changes nothing",
  "exactly one of many saves at one revision wins",
]);

/** Looks first, and writes later. */
class LooksFirst extends InMemoryCheckpointStore {
  readonly #saved = new Map<string, SavedCheckpoint>();

  override load(key: string): Promise<SavedCheckpoint | undefined> {
    return Promise.resolve(this.#saved.get(key));
  }

  override async save(key: string, checkpoint: SavedCheckpoint): Promise<boolean> {
    if (((await this.load(key))?.revision ?? 0) !== checkpoint.revision - 1) return false;
    this.#saved.set(key, checkpoint);
    return true;
  }
}

control("compares in one step and saves in another", () => new LooksFirst(), [
  "exactly one of many saves at one revision wins",
]);

/** Undoes nothing. */
class Forgetful extends InMemoryCheckpointStore {
  transaction<T>(work: (tx: unknown) => Promise<T>): Promise<T> {
    return work({});
  }
}

control("undoes no save", () => new Forgetful(), [
  "a transaction commits its save, or undoes it and rejects with the reason",
]);

/** Undoes with a transaction all that was saved meanwhile, as one connection does for two stores. */
class UndoesAll extends InMemoryCheckpointStore {
  #saved = new Map<string, SavedCheckpoint>();

  override load(key: string): Promise<SavedCheckpoint | undefined> {
    return Promise.resolve(this.#saved.get(key));
  }

  override save(key: string, checkpoint: SavedCheckpoint): Promise<boolean> {
    this.#saved.set(key, checkpoint);
    return Promise.resolve(true);
  }

  async transaction<T>(work: (tx: unknown) => Promise<T>): Promise<T> {
    const before = new Map(this.#saved);
    try {
      return await work({});
    } catch (error) {
      this.#saved = before;
      throw error;
    }
  }
}

const shared = new UndoesAll();

control("undoes a save of somebody else", () => new UndoesAll(), [
  "a save outlives a transaction that fails beside it",
]);

control("undoes a save of another store", () => shared, [
  "a save outlives a transaction of another store that fails beside it",
], true);
