import { assertEquals } from "@std/assert";
import { type CheckpointStore, InMemoryCheckpointStore } from "../../../store/mod.ts";
import { type ParkedProcess, ParkedProcesses } from "../../../store/process/parked.ts";

function parked(id: string): ParkedProcess {
  return { id, sequence: 1, eventId: "event", reason: "it threw", since: "2026-11-29T00:00:00Z" };
}

/** What the history of a process says that is parked, and of one that goes on. */
const isParked = (id: string) => () => Promise.resolve(parked(id));
const goesOn = () => Promise.resolve(undefined);

/** A list of parked processes in a store that counts its loads, and can hold one up. */
class Bed {
  readonly checkpoints = new InMemoryCheckpointStore();
  loads = 0;
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
    return new ParkedProcesses(checkpoints, "parked", "store");
  }

  /** Looks at the list as it is now; the answer comes when the caller calls what this gives. */
  heldLook(): () => Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.answer = promise;
    const look = this.list.list();
    this.answer = undefined;
    return async () => {
      resolve();
      await look;
    };
  }

  async ids(): Promise<string[]> {
    return (await this.another().list()).map(({ id }) => id);
  }
}

Deno.test("a process that nobody has listed is removed without a look at the list", async () => {
  const bed = new Bed();
  await bed.list.update("a", isParked("a"));
  const { loads } = bed;
  for (const id of ["b", "c", "d"]) await bed.list.remove(id, goesOn);
  assertEquals(bed.loads, loads);
  await bed.list.remove("a", goesOn);
  assertEquals(await bed.ids(), []);
});

Deno.test("a process that another program has listed before it gave its partition up is removed", async () => {
  const bed = new Bed();
  await bed.list.remove("a", goesOn); // Sees that the list is empty.
  await bed.another().update("a", isParked("a"));
  bed.list.forget(); // Takes the partition over.
  await bed.list.remove("a", goesOn);
  assertEquals(await bed.ids(), []);
});

Deno.test("a look at the list from before a partition was taken over counts for nothing", async () => {
  const bed = new Bed();
  const answer = bed.heldLook();
  await bed.another().update("a", isParked("a"));
  bed.list.forget();
  await answer();
  await bed.list.remove("a", goesOn);
  assertEquals(await bed.ids(), []);
});

Deno.test("an older look that comes late takes no newer one's place", async () => {
  const bed = new Bed();
  const answer = bed.heldLook();
  await bed.list.update("a", isParked("a"));
  await answer();
  await bed.list.remove("a", goesOn);
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
  const adding = late.update("a", look);
  await saving.promise;
  // Another program has taken its partition over.
  await bed.list.update("a", look);
  now = undefined;
  await bed.list.remove("a", look);
  asleep.resolve();
  await adding;
  assertEquals(await bed.ids(), []);
});

Deno.test("a program that comes late with one that went on removes none that is parked again", async () => {
  const bed = new Bed();
  await bed.list.update("a", isParked("a"));
  await bed.another().remove("a", isParked("a"));
  assertEquals(await bed.ids(), ["a"]);
});
