import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CheckpointStore,
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
} from "../../../store/mod.ts";
import { type ParkedProcess, ParkedProcesses } from "../../../store/process/parked.ts";
import { natsTest } from "../../support/fixture.ts";
import { place, Run, until } from "./bed.ts";
import { manage, notes } from "./notes.ts";

function parked(id: string): ParkedProcess {
  return { id, sequence: 1, eventId: "event", reason: "it threw", since: "2026-11-29T00:00:00Z" };
}

/** What the history of a process says that is parked, and of one that goes on. */
const isParked = (id: string) => () => Promise.resolve(parked(id));
const { signal } = new AbortController();
const goesOn = () => Promise.resolve(undefined);

/** A list of parked processes in a store that counts its loads, and can hold one up. */
class Bed {
  readonly checkpoints = new InMemoryCheckpointStore();
  loads = 0;
  /** What the histories say if the list is damaged. */
  histories: ParkedProcess[] = [];
  answer: Promise<void> | undefined;
  readonly list = this.another({
    load: async (key) => {
      this.loads++;
      const { answer } = this;
      const found = await this.checkpoints.load(key);
      await answer;
      return found;
    },
    save: (key, checkpoint) => this.checkpoints.save(key, checkpoint),
  });

  /** The list as another program has it. */
  another(checkpoints: CheckpointStore = this.checkpoints): ParkedProcesses {
    return new ParkedProcesses(
      checkpoints,
      "parked",
      "store",
      () => Promise.resolve(this.histories),
    );
  }

  /** Looks at the list as it is now; the answer comes when the caller calls what this gives. */
  heldLook(): () => Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.answer = promise;
    const look = this.list.list(signal);
    this.answer = undefined;
    return async () => {
      resolve();
      await look;
    };
  }

  async ids(): Promise<string[]> {
    return (await this.another().list(signal)).map(({ id }) => id);
  }
}

Deno.test("a process that nobody has listed is removed without a look at the list", async () => {
  const bed = new Bed();
  await bed.list.update("a", isParked("a"), signal);
  const { loads } = bed;
  for (const id of ["b", "c", "d"]) await bed.list.remove(id, goesOn, signal);
  assertEquals(bed.loads, loads);
  await bed.list.remove("a", goesOn, signal);
  assertEquals(await bed.ids(), []);
});

Deno.test("a process that another program has listed before it gave its partition up is removed", async () => {
  const bed = new Bed();
  await bed.list.remove("a", goesOn, signal); // Sees that the list is empty.
  await bed.another().update("a", isParked("a"), signal);
  bed.list.forget(); // Takes the partition over.
  await bed.list.remove("a", goesOn, signal);
  assertEquals(await bed.ids(), []);
});

Deno.test("a look at the list from before a partition was taken over counts for nothing", async () => {
  const bed = new Bed();
  const answer = bed.heldLook();
  await bed.another().update("a", isParked("a"), signal);
  bed.list.forget();
  await answer();
  await bed.list.remove("a", goesOn, signal);
  assertEquals(await bed.ids(), []);
});

Deno.test("an older look that comes late takes no newer one's place", async () => {
  const bed = new Bed();
  const answer = bed.heldLook();
  await bed.list.update("a", isParked("a"), signal);
  await answer();
  await bed.list.remove("a", goesOn, signal);
  assertEquals(await bed.ids(), []);
});

Deno.test("a program that comes late with a process adds it only if it is still parked", async () => {
  const bed = new Bed();
  const saving = Promise.withResolvers<void>();
  const asleep = Promise.withResolvers<void>();
  const late = bed.another({
    load: (key) => bed.checkpoints.load(key),
    save: async (key, checkpoint) => {
      saving.resolve();
      await asleep.promise;
      return await bed.checkpoints.save(key, checkpoint);
    },
  });
  let now: ParkedProcess | undefined = parked("a");
  const look = () => Promise.resolve(now);
  const adding = late.update("a", look, signal);
  await saving.promise;
  // Another program has taken its partition over.
  await bed.list.update("a", look, signal);
  now = undefined;
  await bed.list.remove("a", look, signal);
  asleep.resolve();
  await adding;
  assertEquals(await bed.ids(), []);
});

Deno.test("a program that comes late with one that went on removes none that is parked again", async () => {
  const bed = new Bed();
  await bed.list.update("a", isParked("a"), signal);
  await bed.another().remove("a", isParked("a"), signal);
  assertEquals(await bed.ids(), ["a"]);
});

Deno.test("a list that is damaged is made up by the histories", async () => {
  const bed = new Bed();
  for (const [at, body] of ["garbage", '{"parked":[1]}'].entries()) {
    const { revision = 0 } = await bed.checkpoints.load("parked") ?? {};
    await bed.checkpoints.save("parked", { revision: revision + 1, body });
    bed.histories = [parked("a"), parked(`b${at}`)];
    await bed.list.update("c", isParked("c"), signal);
    bed.histories = [];
    assertEquals(await bed.ids(), ["a", `b${at}`, "c"]);
  }
});

Deno.test("a list that takes no save keeps no other work waiting, and ends with its caller", async () => {
  const bed = new Bed();
  let saves = 0;
  const list = bed.another({
    load: (key) => bed.checkpoints.load(key),
    save: () => {
      if (++saves > 1_000) throw new Error("it leaves no time to others");
      return Promise.resolve(false);
    },
  });
  const caller = new AbortController();
  const adding = list.update("a", isParked("a"), caller.signal);
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
  caller.abort(new Error("the caller has no more time"));
  await assertRejects(() => adding, Error, "no more time");
});

natsTest(
  "a manager whose list of parked processes is damaged makes it up and goes on",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    let isBroken = true;
    const process = notes({
      correlate: ({ actorId }) => actorId,
      react: () => {
        if (isBroken) throw new Error("no reaction");
      },
    });
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    await using run = new Run(manage({ store, checkpoints }, { process, partitions: 1, onError }));
    const ids = async () => (await run.of.parked()).map(({ id }) => id).sort();
    for (const id of ["order-1", "order-2", "order-3"]) await place(store, id);
    await until(async () => (await ids()).length === 3);
    isBroken = false;
    assert(await run.of.retry("order-3"));
    await run.of.end("order-2");
    await until(async () => (await ids()).length === 1);
    isBroken = true;
    const key = `$KV.${checkpoints.bucket}.checkpoint.process=3Anotes=3Aparked`;
    for (const [at, damaged] of ["garbage", "7 garbage"].entries()) {
      errors.length = 0;
      await connection.request(key, damaged);
      await place(store, `order-x${at}`);
      await until(async () => (await ids()).length === at + 2);
      const told = errors.filter((error) => isAetherError(error, "CorruptCheckpointError"));
      assert(told.length > 0);
    }
    assertEquals(await ids(), ["order-1", "order-x0", "order-x1"]);
  },
);
