import { assert, assertEquals } from "@std/assert";
import {
  type Event,
  type EventSubscriptionOptions,
  InMemoryEventStore,
} from "../../../store/mod.ts";
import { shardOf } from "../../../store/actor.ts";
import { ProjectionReader } from "../../../store/projection/reader.ts";
import { fact, range } from "./bed.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const OF = 4;
const ACTORS = range(1, 12).map((number) => `order-${number}`);

/** Lets others have a few turns. */
async function turns(most: number): Promise<void> {
  for (let left = Math.random() * most; left > 1; left--) {
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** Sequences of a partition that a reader yielded, to any caller. */
async function follow(
  reader: ProjectionReader<ReturnType<typeof fact>>,
  partition: number,
  slowness: number,
): Promise<number[]> {
  const sequences: number[] = [];
  let position = 0;
  const count = 60 * ACTORS.filter((actorId) => shardOf(actorId, OF) === partition).length;
  while (sequences.length < count) {
    const buffer = reader.join(partition, position);
    for (let left = 1 + Math.random() * 30; left > 1 && sequences.length < count; left--) {
      const { events, seen } = await buffer.take(
        () => buffer.position > position,
        new AbortController().signal,
      );
      sequences.push(...events.map(({ sequence }) => sequence));
      position = Math.max(position, seen?.sequence ?? 0);
      assert((events.at(-1)?.sequence ?? 0) <= position);
      await turns(slowness);
    }
    await reader.leave(buffer);
    await turns(3);
  }
  return sequences;
}

Deno.test("Partitions that come, go and lag are given each of their events once", async () => {
  for (const round of range(1, LONG ? 200 : 10)) {
    await using store = new InMemoryEventStore();
    const saved: { sequence: number; partition: number }[] = [];
    const save = async (version: number): Promise<void> => {
      for (const actorId of ACTORS) {
        const { sequence } = await store.saveEvent(fact(actorId, version));
        saved.push({ sequence, partition: shardOf(actorId, OF) });
      }
    };
    for (const version of range(1, 20)) await save(version);
    const writer = (async () => {
      for (const version of range(21, 60)) {
        await save(version);
        await turns(2);
      }
    })();
    const reader = new ProjectionReader({ store, filter: {}, of: OF, size: 5, patience: 1 });
    const given = await Promise.all(
      range(0, OF - 1).map((partition) => {
        return follow(reader, partition, partition === round % OF ? 12 : 2);
      }),
    );
    await writer;
    for (const [partition, sequences] of given.entries()) {
      const own = saved.filter((it) => it.partition === partition);
      assertEquals(sequences, own.map(({ sequence }) => sequence), `partition ${partition}`);
    }
  }
});

Deno.test("A slow partition delays the others no longer than a bound", async () => {
  await using store = new InMemoryEventStore();
  for (const version of range(1, 50)) {
    for (const actorId of ACTORS) await store.saveEvent(fact(actorId, version));
  }
  const reader = new ProjectionReader({ store, filter: {}, of: OF, size: 5, patience: 20 });
  const { signal } = new AbortController();
  const stuck = reader.join(0, 0);
  const count = async (partition: number): Promise<number> => {
    const buffer = reader.join(partition, 0);
    let events = 0;
    while (!buffer.caughtUp) {
      events += (await buffer.take(() => buffer.caughtUp, signal)).events.length;
    }
    await reader.leave(buffer);
    return events;
  };
  const counts = await Promise.all([1, 2, 3].map(count));
  const own = (partition: number) =>
    50 * ACTORS.filter((actorId) => shardOf(actorId, OF) === partition).length;
  assertEquals(counts, [own(1), own(2), own(3)]);
  let events = 0;
  while (!stuck.caughtUp) events += (await stuck.take(() => stuck.caughtUp, signal)).events.length;
  assertEquals(events, own(0), "It has missed nothing meanwhile");
  await reader.leave(stuck);
});

Deno.test("A slow partition that leaves ends the common reading, which nobody shares any more", async () => {
  await using store = new InMemoryEventStore();
  for (const version of range(1, 30)) await store.saveEvent(fact("order-1", version));
  const subscribe = store.subscribe.bind(store);
  let open = 0;
  store.subscribe = <E extends Event>(options?: EventSubscriptionOptions) => {
    const subscription = subscribe<E>(options);
    open++;
    const dispose = subscription[Symbol.asyncDispose].bind(subscription);
    subscription[Symbol.asyncDispose] = async () => {
      await dispose();
      open--;
    };
    return subscription;
  };
  const reader = new ProjectionReader({ store, filter: {}, of: 1, size: 1, patience: 1 });
  const slow = reader.join(0, 0);
  // The common reading, and its own.
  while (open < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  await reader.leave(slow);
  assertEquals(open, 0);
});
