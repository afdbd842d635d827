import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { appendEvents } from "../../store/append.ts";
import { VersionConflictError } from "../../store/errors.ts";
import { InMemoryEventStore } from "../../store/memory/event_store.ts";

const DRAFTS = [
  { eventType: "OrderPlaced", data: { total: 5 }, id: "command-1.1" },
  { eventType: "OrderPaid", data: null, id: "command-1.2" },
];

Deno.test("an append with ids of its own may be repeated", async () => {
  await using store = new InMemoryEventStore();
  const first = await appendEvents(store, "order-1", 0, DRAFTS);
  const again = await appendEvents(store, "order-1", 0, DRAFTS);
  assertEquals([first.duplicate, again.duplicate], [false, true]);
  assertEquals([again.sequence, again.version], [first.sequence, 2]);
  assertEquals((await store.getEvents("order-1")).map(({ id }) => id), DRAFTS.map(({ id }) => id));
});

Deno.test("an append without ids is another one each time", async () => {
  await using store = new InMemoryEventStore();
  const drafts = DRAFTS.map(({ id: _, ...draft }) => draft);
  const { events } = await appendEvents(store, "order-1", 0, drafts);
  assert(events.every(({ id }) => /^[0-9a-f-]{36}$/.test(id)));
  const action = () => appendEvents(store, "order-1", 0, drafts);
  const error = await assertRejects(action, VersionConflictError);
  assertEquals([error.attemptedVersion, error.currentVersion], [1, 2]);
});

Deno.test("an append that would skip versions names the expected version", async () => {
  await using store = new InMemoryEventStore();
  const action = () => appendEvents(store, "order-1", 4, DRAFTS);
  const error = await assertRejects(action, VersionConflictError);
  assertMatch(error.message, /version 4 was expected, and current version is 0$/);
});
