import { assertEquals, assertRejects } from "@std/assert";
import { stub } from "@std/testing/mock";
import { createEvent, type Decider, execute, InMemoryEventStore } from "../../../mod.ts";
import { KnownCommands } from "../../../store/command/known_commands.ts";
import { plan } from "../../../store/command/plan.ts";
import { type CommandLog, commandLogOf } from "../../../store/command_log.ts";
import { both } from "./both.ts";

/** What is known of an actor without commands, and how often that was looked for. */
function counted() {
  const counts = { searches: 0 };
  const search = () => {
    counts.searches++;
    return Promise.resolve({ found: new Map(), since: 0, end: { version: 0, sequence: 0 } });
  };
  return { known: new KnownCommands({ search } as unknown as CommandLog, "order-1"), counts };
}

Deno.test("commands that were dropped from memory are looked for again", async () => {
  const { known, counts } = counted();
  const add = (id: number) => {
    const place = { messages: [id], version: id, events: 1 };
    known.add(new Map([[`${id}`, place]]), { version: id, sequence: id });
  };
  await known.reach(0);
  for (let id = 1; id <= 1_000; id++) add(id);
  await known.reach(0);
  assertEquals([known.get("1") !== undefined, counts.searches], [true, 1]);
  add(1_001);
  await known.reach(0);
  assertEquals([known.get("1") !== undefined, counts.searches], [false, 2]);
});

Deno.test("a command that was dropped is looked for again behind a gap in the versions", async () => {
  const { known, counts } = counted();
  await known.reach(undefined);
  for (let id = 1; id <= 1_001; id++) {
    const version = id === 1 ? 1 : 5_000; // The others are receipts.
    const place = { messages: [id], version, events: id === 1 ? 1 : 0 };
    known.add(new Map([[`${id}`, place]]), { version, sequence: id });
  }
  assertEquals(known.get("1"), undefined);
  await known.reach(undefined);
  assertEquals(counts.searches, 2);
});

both("the last 1,000 events are searched over gaps in the versions", async (open) => {
  const store = await open();
  const decider: Decider<null, null> = {
    initialState: () => null,
    evolve: () => null,
    decide: () => ({ eventType: "Happened", data: null }),
  };
  let version = 0;
  const save = (count: number, step: number) =>
    store.saveEvents(
      Array.from({ length: count }, () =>
        createEvent({
          eventType: "Happened",
          actorId: "a-1",
          version: version += step,
          data: null,
        })),
    );
  const command = async (commandId: string) => {
    ({ version } = await execute(store, "a-1", decider, null, { commandId }));
  };
  const found = async () => {
    const { found, since } = await commandLogOf(await open())!.search("a-1");
    return { found: [...found.keys()], isAll: since === 0 };
  };
  await command("first");
  await save(1, 5_000);
  assertEquals(await found(), { found: ["first"], isAll: true });
  await save(3, 1_000_000_000); // As wide as times are apart.
  await command("second");
  await save(20, 60_000);
  assertEquals(await found(), { found: ["first", "second"], isAll: true });
  await save(900, 1);
  await save(1, 10_000);
  assertEquals((await found()).found.includes("second"), true);
  await save(1_000, 1);
  assertEquals(await found(), { found: [], isAll: false });
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
