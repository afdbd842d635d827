import { InMemoryEventStore } from "../../../store/memory/event_store.ts";
import { eventSubscriptionSuite } from "../../../testing/event_subscription/suite.ts";

eventSubscriptionSuite({
  test: (name, run) => Deno.test(`InMemoryEventStore: ${name}`, run),
  skip: (name, reason) =>
    Deno.test({ name: `InMemoryEventStore: ${name} (${reason})`, ignore: true, fn() {} }),
  create: (options) => new InMemoryEventStore(options),
  capabilities: { reopen: false },
});
