import { assertEquals } from "@std/assert";
import { encodeToken } from "../../../store/base/token.ts";
import { createEvent, InMemoryCheckpointStore, InMemoryEventStore } from "../../../store/mod.ts";
import { Agenda, type AgendaItem } from "../../../store/process/agenda.ts";
import { OpenIndex, type OpenItem } from "../../../store/process/open_index.ts";

const ITEM: OpenItem = {
  ...{ actorId: "process:p-1", version: 1, sequence: 1, eventId: "event" },
  ...{ name: "command", lane: "order-1" },
};

Deno.test("an index gives what was saved last, to the same store", async () => {
  const checkpoints = new InMemoryCheckpointStore();
  const index = new OpenIndex(checkpoints, "agenda", "a");
  await index.save({ sequence: 9, items: [ITEM] });
  assertEquals(await index.load(), { sequence: 9, items: [ITEM] });
  const nothing = { sequence: 0, items: [] };
  assertEquals(await new OpenIndex(checkpoints, "agenda", "b").load(), nothing);
});

Deno.test("an index of two writings is none", async () => {
  const checkpoints = new InMemoryCheckpointStore();
  const index = new OpenIndex(checkpoints, "agenda", "a");
  await index.save({ sequence: 9, items: [ITEM] });
  // Another program writes its items, and dies before it writes where they begin.
  const items = [{ ...ITEM, name: "later" }];
  const body = JSON.stringify({ nonce: "another", items });
  await checkpoints.save("agenda.0", { revision: 2, body });
  assertEquals(await index.load(), { sequence: 0, items: [] });
});

/** An agenda that takes over `count` open commands of one process to one actor. */
async function takenOver(
  count: number,
  work: (item: AgendaItem) => Promise<"done">,
): Promise<AsyncDisposable> {
  const store = new InMemoryEventStore();
  const { actorId } = ITEM;
  const events = Array.from(
    { length: count },
    (_, at) => createEvent({ eventType: "CommandIssued", actorId, version: at + 1, data: {} }),
  );
  const { sequence } = await store.saveEvents(events);
  const items = events.map(({ id, version }) => ({
    ...{ ...ITEM, version, eventId: id, name: id },
    sequence: sequence - count + version,
  }));
  const checkpoints = new InMemoryCheckpointStore();
  const index = new OpenIndex(checkpoints, `${encodeToken("key")}.1.0`, store.identity);
  await index.save({ sequence, items });
  const agenda = new Agenda({
    ...{ store, checkpoints, key: "key", category: "process:p", onError: console.error, work },
    clock: { now: () => 0, wait: () => Promise.resolve() },
  });
  const stop = new AbortController();
  const partitionId = { version: 1, partition: 0, of: 1 };
  await agenda.take({ partitionId, sequence, signal: stop.signal });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await agenda.settled();
      await store[Symbol.asyncDispose]();
    },
  };
}

Deno.test("what the index says is open is worked on, without a look at older events", async () => {
  const { promise, resolve } = Promise.withResolvers<AgendaItem>();
  await using _ = await takenOver(1, (item) => {
    resolve(item);
    return Promise.resolve("done");
  });
  assertEquals((await promise).version, 1);
});

Deno.test("the commands of a process to one actor go out one after the other, in order", async () => {
  const begun: number[] = [];
  let [underWay, most] = [0, 0];
  const over = Promise.withResolvers<void>();
  await using _ = await takenOver(5, async ({ version }) => {
    begun.push(version);
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setTimeout(resolve));
    underWay--;
    if (version === 5) over.resolve();
    return "done";
  });
  await over.promise;
  assertEquals([begun, most], [[1, 2, 3, 4, 5], 1]);
});
