import { assertEquals, assertRejects } from "@std/assert";
import { stub } from "@std/testing/mock";
import { type Decider, execute, InMemoryEventStore } from "../../../mod.ts";
import { KnownCommands } from "../../../store/command/known_commands.ts";
import { plan } from "../../../store/command/plan.ts";
import type { CommandLog } from "../../../store/command_log.ts";

Deno.test("commands that were dropped from memory are looked for again", async () => {
  let searches = 0;
  const search = () => {
    searches++;
    return Promise.resolve({ found: new Map(), since: 0, end: { version: 0, sequence: 0 } });
  };
  const known = new KnownCommands({ search } as unknown as CommandLog, "order-1");
  const add = (id: number) => {
    const place = { messages: [id], version: id };
    known.add(new Map([[`${id}`, place]]), { version: id, sequence: id });
  };
  await known.reach(0);
  for (let id = 1; id <= 1_000; id++) add(id);
  await known.reach(0);
  assertEquals([known.get("1") !== undefined, searches], [true, 1]);
  add(1_001);
  await known.reach(0);
  assertEquals([known.get("1") !== undefined, searches], [false, 2]);
});

Deno.test("a command is found again behind a thousand outcomes without events", async () => {
  const add: Decider<number, number> = {
    initialState: () => 0,
    evolve: (sum) => sum + 1,
    decide: (by) => {
      if (by < 0) throw new RangeError("it is less than nothing");
      return { eventType: "Added", data: by };
    },
  };
  await using store = new InMemoryEventStore();
  await execute(store, "a-1", add, 5, { commandId: "first" });
  for (let at = 0; at <= 1_000; at++) {
    const options = { commandId: `refused-${at}`, record: true };
    await assertRejects(() => execute(store, "a-1", add, -1, options), RangeError);
  }
  const again = await execute(store, "a-1", add, 5, { commandId: "first" });
  assertEquals([again.duplicate, again.searchedFrom], [true, 0]);
  assertEquals(await store.getLatestVersion("a-1"), 1);
});

Deno.test("a command that is there twice is decided once: the second waits for the first", async () => {
  const decider = {
    initialState: () => 0,
    evolve: (count: number) => count + 1,
    decide: () => ({ eventType: "Happened", data: null }),
  };
  const job = (commandId: string) => ({ decider, command: null, options: { commandId } });
  const base = { evolution: decider, state: 0, version: 0, lastId: undefined };
  // A group ends early if its commands take long, as they do on a busy machine.
  using _clock = stub(performance, "now", () => 0);
  const { commands, events } = await plan(
    "order-1",
    base as never,
    [job("a"), job("b"), job("a"), job("c")] as never,
  );
  assertEquals([commands.length, events.length], [2, 2]);
});
