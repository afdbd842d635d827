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

Deno.test("what the index says is open is worked on, without a look at older events", async () => {
  await using store = new InMemoryEventStore();
  const { actorId, version } = ITEM;
  const event = createEvent({ eventType: "CommandIssued", actorId, version, data: {} });
  const { sequence } = await store.saveEvent(event);
  const checkpoints = new InMemoryCheckpointStore();
  const index = new OpenIndex(checkpoints, `${encodeToken("key")}.1.0`, store.identity);
  await index.save({ sequence, items: [{ ...ITEM, sequence, eventId: event.id }] });
  const worked = Promise.withResolvers<AgendaItem>();
  const agenda = new Agenda({
    ...{ store, checkpoints, key: "key", category: "process:p", onError: worked.reject },
    clock: { now: () => 0, wait: () => Promise.resolve() },
    work: (item) => {
      worked.resolve(item);
      return Promise.resolve("done");
    },
  });
  const stop = new AbortController();
  const partitionId = { version: 1, partition: 0, of: 1 };
  await agenda.take({ partitionId, sequence, signal: stop.signal });
  assertEquals((await worked.promise).event.id, event.id);
  stop.abort();
  await agenda.settled();
});
