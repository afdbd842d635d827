import { assertEquals } from "@std/assert";
import { type CheckpointStore, InMemoryCheckpointStore } from "../../../store/mod.ts";
import { type ParkedProcess, ParkedProcesses } from "../../../store/process/parked.ts";

function parked(id: string): ParkedProcess {
  return { id, sequence: 1, eventId: "event", reason: "it threw", since: "2026-11-29T00:00:00Z" };
}

/** A list of parked processes in a store that counts its loads, and can hold one up. */
class Bed {
  readonly checkpoints = new InMemoryCheckpointStore();
  loads = 0;
  answer: Promise<void> | undefined;
  readonly list = this.another({
    load: async (key) => {
      this.loads++;
      const found = await this.checkpoints.load(key);
      await this.answer;
      return found;
    },
    save: (key, checkpoint) => this.checkpoints.save(key, checkpoint),
  });

  /** The list as another program has it. */
  another(checkpoints: CheckpointStore = this.checkpoints): ParkedProcesses {
    return new ParkedProcesses(checkpoints, "parked", "store");
  }

  async ids(): Promise<string[]> {
    return (await this.another().list()).map(({ id }) => id);
  }
}

Deno.test("a process that nobody has listed is removed without a look at the list", async () => {
  const bed = new Bed();
  await bed.list.add(parked("a"));
  const { loads } = bed;
  for (const id of ["b", "c", "d"]) await bed.list.remove(id);
  assertEquals(bed.loads, loads);
  await bed.list.remove("a");
  assertEquals(await bed.ids(), []);
});

Deno.test("a process that another program has listed before it gave its partition up is removed", async () => {
  const bed = new Bed();
  await bed.list.remove("a"); // Sees that the list is empty.
  await bed.another().add(parked("a"));
  bed.list.forget(); // Takes the partition over.
  await bed.list.remove("a");
  assertEquals(await bed.ids(), []);
});

Deno.test("a look at the list from before a partition was taken over counts for nothing", async () => {
  const bed = new Bed();
  const { promise, resolve } = Promise.withResolvers<void>();
  bed.answer = promise;
  const old = bed.list.list();
  await Promise.resolve(); // The list is read, and the answer is under way.
  await bed.another().add(parked("a"));
  bed.list.forget();
  resolve();
  await old;
  await bed.list.remove("a");
  assertEquals(await bed.ids(), []);
});

Deno.test("an older look that comes late takes no newer one's place", async () => {
  const bed = new Bed();
  const { promise, resolve } = Promise.withResolvers<void>();
  bed.answer = promise;
  const old = bed.list.list();
  await Promise.resolve();
  bed.answer = undefined;
  await bed.list.add(parked("a"));
  resolve();
  await old;
  await bed.list.remove("a");
  assertEquals(await bed.ids(), []);
});
