import { assertEquals } from "@std/assert";
import { InMemoryCheckpointStore } from "../../../store/mod.ts";
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

Deno.test("an index is written though another program has written it since", async () => {
  const checkpoints = new InMemoryCheckpointStore();
  const [one, other] = [1, 2].map(() => new OpenIndex(checkpoints, "agenda", "a"));
  for (const [at, index] of [one!, other!, one!, one!, other!].entries()) {
    const items = [{ ...ITEM, name: `${at}` }];
    await index.save({ sequence: at, items });
    assertEquals(await new OpenIndex(checkpoints, "agenda", "a").load(), { sequence: at, items });
  }
});
