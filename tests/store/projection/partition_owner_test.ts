import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { stub } from "@std/testing/mock";
import { Notifier } from "../../../store/base/notifier.ts";
import {
  CheckpointConflictError,
  type CheckpointStore,
  InMemoryCheckpointStore,
  type SavedCheckpoint,
} from "../../../store/mod.ts";
import { ProjectionCheckpoints } from "../../../store/projection/checkpoints.ts";
import { HandlerFailure, PartitionOwner } from "../../../store/projection/partition_owner.ts";

/** Does what it is asked, and loses answers. */
class Checkpoints implements CheckpointStore<string[]> {
  /** Keeps them. */
  inner = new InMemoryCheckpointStore();
  /** Answers that are lost next. */
  lost = 0;
  calls = 0;
  saves = 0;

  async load(key: string): Promise<SavedCheckpoint | undefined> {
    // One that goes on endlessly would never give way to a timer.
    if (++this.calls > 50) throw new HandlerFailure("it asks endlessly");
    return await this.inner.load(key);
  }

  async save(key: string, checkpoint: SavedCheckpoint, tx?: string[]): Promise<boolean> {
    this.saves++;
    const isSaved = await this.inner.save(key, checkpoint);
    if (tx === undefined) this.#answer();
    return isSaved;
  }

  async transaction<T>(work: (tx: string[]) => Promise<T>): Promise<T> {
    const result = await work([]);
    this.#answer();
    return result;
  }

  #answer(): void {
    if (this.lost-- > 0) throw new Error("the answer is lost");
  }
}

function ownerOn(
  store: CheckpointStore<string[]>,
  { signal } = new AbortController(),
): PartitionOwner<string[]> {
  const begin = () => Promise.resolve(undefined);
  return new PartitionOwner({
    name: "model",
    partitionId: { version: 1, partition: 0, of: 1 },
    checkpoints: new ProjectionCheckpoints(store, "model", begin, ""),
    identity: "one",
    signal,
    onError: () => {},
    progress: new Notifier(),
  });
}

Deno.test("a claim takes the partition, also if its answer is lost, and the owner before loses it", async () => {
  for (const lost of [0, 1]) {
    const store = new Checkpoints();
    const [one, two] = [ownerOn(store), ownerOn(store)];
    await one.claim();
    store.lost = lost;
    const before = [store.saves, store.calls];
    await two.claim();
    // One save, which is looked up again only if its answer is lost.
    assertEquals([store.saves - before[0]!, store.calls - before[1]!], [1, 1 + lost]);
    two.state = { ...two.state, sequence: 7 };
    await two.save();
    one.state = { ...one.state, sequence: 8 };
    await assertRejects(() => one.save(), CheckpointConflictError);
    assert(store.calls < 12, `${store.calls} loads`);
  }
});

/** A store that keeps of `from` what it keeps now. */
async function copyOf(from: Checkpoints): Promise<InMemoryCheckpointStore> {
  const copy = new InMemoryCheckpointStore();
  const { revision, body } = (await from.load("model.1.0"))!;
  for (let at = 1; at <= revision; at++) await copy.save("model.1.0", { revision: at, body });
  return copy;
}

Deno.test("a store that was set back says how many saves it has lost, at a save, a commit and a look", async () => {
  const ways: Record<string, (owner: PartitionOwner<string[]>) => Promise<void>> = {
    save: async (owner) => {
      owner.state = { ...owner.state, sequence: 10 };
      await owner.save();
    },
    commit: (owner) => owner.commit({ ...owner.state, sequence: 10 }, async () => {}),
    look: async (owner) => {
      using _later = stub(performance, "now", () => 1e12);
      assert(owner.isQuiet);
      await owner.save();
    },
  };
  for (const [name, way] of Object.entries(ways)) {
    const store = new Checkpoints();
    const owner = ownerOn(store);
    await owner.claim();
    const copy = await copyOf(store);
    for (const sequence of [7, 8]) {
      owner.state = { ...owner.state, sequence };
      await owner.save();
    }
    store.inner = copy;
    const { lost, message } = await assertRejects(() => way(owner), CheckpointConflictError);
    assertEquals([name, lost], [name, 2]);
    assertMatch(message, /lost the last 2 saves/);
  }
});

Deno.test("a state that is not saved for a while is looked up, once", async () => {
  const store = new Checkpoints();
  const owner = ownerOn(store);
  await owner.claim();
  const before = [store.calls, store.saves];
  await owner.save(); // It was saved a moment ago.
  using _later = stub(performance, "now", () => 1e12);
  await owner.save();
  await owner.save();
  assertEquals([store.calls - before[0]!, store.saves - before[1]!], [1, 0]);
});

Deno.test("a save whose answer is lost is found again", async () => {
  const store = new Checkpoints();
  const owner = ownerOn(store);
  await owner.claim();
  for (const sequence of [7, 8]) {
    store.lost = 1;
    owner.state = { ...owner.state, sequence };
    await owner.save();
  }
  assertEquals(owner.state.sequence, 8);
});

Deno.test("a commit whose answer is lost does its work once", async () => {
  const store = new Checkpoints();
  const owner = ownerOn(store);
  await owner.claim();
  let [works, calls] = [0, 0];
  for (const lost of [0, 1, 0]) {
    store.lost = lost;
    await owner.commit({ ...owner.state, sequence: ++works }, () => {
      assertEquals(owner.state.sequence, works - 1);
      calls++;
      return Promise.resolve();
    });
  }
  assertEquals([works, calls], [3, 3]);
});

Deno.test("a transaction that is no promise, but begins when it is awaited, is begun once", async () => {
  const inner = new Checkpoints();
  let begun = 0;
  const lazy = <T>(work: () => Promise<T>) => {
    const then: Promise<T>["then"] = (onValue, onError) => {
      begun++;
      return work().then(onValue, onError);
    };
    return { then } as Promise<T>;
  };
  const owner = ownerOn({
    load: (key) => lazy(() => inner.load(key)),
    save: (key, checkpoint, tx) => lazy(() => inner.save(key, checkpoint, tx)),
    transaction: (work) => lazy(() => inner.transaction(work)),
  });
  await owner.claim();
  begun = 0;
  let works = 0;
  await owner.commit({ ...owner.state, sequence: 1 }, () => Promise.resolve(void works++));
  assertEquals({ works, begun }, { works: 1, begun: 2 }); // The transaction, and the save in it.
});

Deno.test("a claim that always comes too late gives way to others, and ends when it is stopped", async () => {
  const stop = new AbortController();
  let saves = 0;
  const late: CheckpointStore<string[]> = {
    load: () => Promise.resolve(undefined),
    save: () => Promise.resolve(++saves > 20_000),
  };
  const timer = setTimeout(() => stop.abort(new Error("it is over")), 5);
  await assertRejects(() => ownerOn(late, stop).claim(), Error, "it is over");
  clearTimeout(timer);
  assert(saves < 20_000);
});
