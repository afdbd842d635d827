import { assertEquals } from "@std/assert";
import type { InnerSaveOptions } from "../../../store/format/save_options.ts";
import { createEvent, type EventStore, InMemoryEventStore } from "../../../store/mod.ts";
import { storeTest } from "../../support/stores.ts";

/** Saves five commits as a group that takes several messages; gives the commit of each event. */
async function commitsOfGroup(store: EventStore): Promise<string[]> {
  const events = Array.from(
    { length: 6 },
    (_, at) =>
      createEvent({
        ...{ eventType: "Scanned", actorId: "album-1", version: at + 1 },
        data: "x".repeat(at === 2 ? 60_000 : 20_000),
      }),
  );
  const options: InnerSaveOptions = { parts: [1, 1, 2, 1, 1].map((events) => ({ events })) };
  await store.saveEvents(events, options);
  const names: string[] = [];
  for await (const { commit: { op, index, count } } of store.readAll()) {
    names.push(`${op} ${index} of ${count}`);
  }
  return names;
}

function assertDistinct(names: readonly string[]): void {
  assertEquals(names.map((name) => name.split(" ").slice(1).join(" ")), [
    ...["0 of 1", "0 of 1", "0 of 2", "1 of 2", "0 of 1", "0 of 1"],
  ]);
  assertEquals(new Set(names).size, names.length);
  const ops = names.map((name) => name.split(" ")[0]);
  assertEquals(new Set(ops).size, 5);
  assertEquals(ops[2], ops[3]);
}

Deno.test("Each commit of a group has a name of its own in memory", async () => {
  await using store = new InMemoryEventStore();
  assertDistinct(await commitsOfGroup(store));
});

storeTest("Each commit of a group over several messages has a name of its own", async (stores) => {
  const { store } = await stores.open();
  assertDistinct(await commitsOfGroup(store));
});
