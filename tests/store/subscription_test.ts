import { assertEquals } from "@std/assert";
import { InMemoryEventStore } from "../../store/mod.ts";
import { sample } from "../../testing/event_store/kit.ts";

Deno.test("a subscription counts until return() of its iterator, also of one that has not begun", async () => {
  await using store = new InMemoryEventStore();
  const subscription = store.subscribe();
  assertEquals(store.metrics.activeSubscriptions, 1);
  await subscription[Symbol.asyncIterator]().return!();
  assertEquals(store.metrics.activeSubscriptions, 0);
});

Deno.test("return() of the iterator ends a step that waits for an event", async () => {
  await using store = new InMemoryEventStore();
  await store.saveEvent(sample());
  const events = store.subscribe()[Symbol.asyncIterator]();
  assertEquals((await events.next()).done, false);
  const coming = events.next();
  await events.return!();
  assertEquals([(await coming).done, store.metrics.activeSubscriptions], [true, 0]);
});
