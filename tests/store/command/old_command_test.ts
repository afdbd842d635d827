import { assertEquals } from "@std/assert";
import { type Decider, execute, InMemoryEventStore } from "../../../mod.ts";

const counter: Decider<number, number> = {
  initialState: () => 0,
  evolve: (count) => count + 1,
  decide: (data) => ({ eventType: "Counted", data }),
};

Deno.test("a command behind thousands of others is found if its cause lies before it", async () => {
  await using store = new InMemoryEventStore();
  const cause = new Date(Date.now() - 1_000);
  const run = (at: number) => execute(store, "a-1", counter, at, { commandId: `c-${at}`, cause });
  for (let at = 0; at < 2_500; at++) await run(at);
  const { duplicate } = await run(0);
  assertEquals(duplicate, true);
  assertEquals((await store.getEvents("a-1")).length, 2_500);
});
