import { assert, assertEquals } from "@std/assert";
import {
  type CheckpointStore,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  type RecordedEvent,
  type SavedCheckpoint,
} from "../../../store/mod.ts";
import { fill, range, Run } from "./bed.ts";

/** Effects that are there when their transaction has committed. */
class Ledgers implements CheckpointStore<RecordedEvent[]> {
  readonly effects: RecordedEvent[] = [];
  readonly #inner = new InMemoryCheckpointStore();
  /** Does harm before a commit, or after it. */
  trouble: (when: "before" | "after") => void = () => {};

  load(key: string): Promise<SavedCheckpoint | undefined> {
    return this.#inner.load(key);
  }

  save(key: string, checkpoint: SavedCheckpoint): Promise<boolean> {
    return this.#inner.save(key, checkpoint);
  }

  async transaction<T>(work: (tx: RecordedEvent[]) => Promise<T>): Promise<T> {
    const tx: RecordedEvent[] = [];
    this.trouble("before");
    const result = await work(tx);
    this.effects.push(...tx);
    this.trouble("after");
    return result;
  }
}

/** Compares nothing: what no checkpoint store may do. */
class Unfenced extends Ledgers {
  readonly #saved = new Map<string, SavedCheckpoint>();

  override load(key: string): Promise<SavedCheckpoint | undefined> {
    return Promise.resolve(this.#saved.get(key));
  }

  override save(key: string, { body }: SavedCheckpoint): Promise<boolean> {
    this.#saved.set(key, { revision: (this.#saved.get(key)?.revision ?? 0) + 1, body });
    return Promise.resolve(true);
  }
}

/** Runs a second process over the first one, then saves more; gives how often events had effects. */
async function takenOver(
  checkpoints: Ledgers,
  effects = 40,
): Promise<{ counts: number[]; end: unknown }> {
  await using store = new InMemoryEventStore();
  const options = {
    ...{ name: "model", store, checkpoints, onError: () => {} },
    handler: (event: RecordedEvent, { tx }: { tx: RecordedEvent[] }) => void tx.push(event),
  };
  await fill(store, ["order-1"], 1, 10);
  const one = new Run(options);
  await one.projection.caughtUp;
  const other = new Run(options);
  await until(() => other.projection.status().then(() => checkpoints.effects.length === 10));
  await other.projection.caughtUp;
  await fill(store, ["order-1"], 11, 40);
  await other.projection.caughtUp;
  await until(() => checkpoints.effects.length >= effects);
  await other[Symbol.asyncDispose]();
  await one.projection[Symbol.asyncDispose]();
  const end = await one.end;
  const counts = range(1, 40).map((version) =>
    checkpoints.effects.filter((event) => event.version === version).length
  );
  return { counts, end };
}

async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  while (!await reached()) await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("A worker whose partition was taken over has no more effect", async () => {
  const { counts, end } = await takenOver(new Ledgers());
  assert(counts.every((count) => count === 1), String(counts));
  assert(isAetherError(end, "CheckpointConflictError"), String(end));
});

Deno.test("Control: if saves compare nothing, events have two effects", async () => {
  const { counts } = await takenOver(new Unfenced(), 41); // The first process goes on as well.
  assert(counts.some((count) => count === 2), String(counts));
});

Deno.test("A commit that fails, or whose answer is lost, has its effect once", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new Ledgers();
  const errors: unknown[] = [];
  const turns = { before: 0, after: 0 };
  checkpoints.trouble = (when) => {
    if (++turns[when] % 3 === 0) throw new Error(`trouble ${when} the commit`);
  };
  await fill(store, ["order-1", "order-2"], 1, 20);
  await using run = new Run({
    ...{ name: "model", store, checkpoints, batch: 3 },
    handler: (event, { tx }) => void tx.push(event),
    onError: (error) => errors.push(error),
  });
  await run.projection.caughtUp;
  assertEquals(checkpoints.effects.map(({ sequence }) => sequence).length, 40);
  assertEquals(new Set(checkpoints.effects.map(({ id }) => id)).size, 40);
  assert(errors.some((error) => String(error).includes("before")));
  assert(errors.some((error) => String(error).includes("after")));
});

Deno.test("Readers see no event undone when a rebuilt version takes over", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new Ledgers();
  const versions = new Map<number, Set<string>>([[1, new Set()], [2, new Set()]]);
  const gate = Promise.withResolvers<void>();
  let switching = false;
  let undone: string[] | undefined;
  await fill(store, ["order-1"], 1, 20);
  await using run = new Run({
    ...{ name: "model", store, checkpoints, onError: () => {} },
    handler: async (event, { version, tx }) => {
      // From here on only the version before could still do something.
      if (switching && version === 2) await gate.promise;
      versions.get(version)!.add(event.id);
      tx.push(event);
    },
    onSwitch: async () => {
      switching = true;
      const before = checkpoints.effects.length;
      await fill(store, ["order-1"], 21, 30);
      for (let turn = 0; turn < 50 && checkpoints.effects.length === before; turn++) {
        await new Promise((resolve) => setTimeout(resolve));
      }
      // Effects that were committed, and are missing in the version that is read from now on.
      undone = checkpoints.effects.map(({ id }) => id).filter((id) => !versions.get(2)!.has(id));
      gate.resolve();
    },
  });
  await run.projection.caughtUp;
  assertEquals(await run.projection.rebuild(), 2);
  assertEquals(undone, []);
  await run.projection.caughtUp;
  assertEquals(versions.get(2)!.size, 30);
});

/** Checkpoints that tell when a version is about to be retired, and when it is. */
class Retiring extends Ledgers {
  /** Called once before the first one is. */
  before: (() => Promise<void>) | undefined;
  /** Called when one is. */
  after = (): void => {};

  override async save(key: string, checkpoint: SavedCheckpoint): Promise<boolean> {
    const retires = checkpoint.body.includes('"retired":true');
    const { before } = this;
    if (retires && before !== undefined) {
      this.before = undefined;
      await before();
    }
    const isSaved = await super.save(key, checkpoint);
    if (retires && isSaved) this.after();
    return isSaved;
  }
}

Deno.test("A rebuilt version takes over when it has handled all that the one before has", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new Retiring();
  const versions = new Map<number, Set<string>>([[1, new Set()], [2, new Set()]]);
  const gate = Promise.withResolvers<void>();
  let isHeld = false;
  let undone: string[] | undefined;
  await fill(store, ["order-1"], 1, 20);
  await using run = new Run({
    ...{ name: "model", store, checkpoints, onError: () => {} },
    handler: async (event, { version, tx }) => {
      if (isHeld && version === 2) await gate.promise;
      versions.get(version)!.add(event.id);
      tx.push(event);
    },
    onSwitch: () => {
      undone = [...versions.get(1)!].filter((id) => !versions.get(2)!.has(id));
    },
  });
  await run.projection.caughtUp;
  checkpoints.before = async () => {
    // The new version is at the end by now, and falls behind once more.
    isHeld = true;
    await fill(store, ["order-1"], 21, 30);
    await until(() => versions.get(1)!.size === 30);
  };
  // A version that takes over at once does so in a few turns.
  checkpoints.after = () => void setTimeout(() => gate.resolve(), 50);
  assertEquals(await run.projection.rebuild(), 2);
  assertEquals(undone, []);
  assertEquals(versions.get(2)!.size, 30);
});
