import { InMemoryEventStore } from "../../../store/memory/event_store.ts";
import { eventStoreSuite } from "../../../testing/event_store/suite.ts";

eventStoreSuite({
  test: (name, run) => Deno.test(`InMemoryEventStore: ${name}`, run),
  skip: (name, reason) =>
    Deno.test({ name: `InMemoryEventStore: ${name} (${reason})`, ignore: true, fn() {} }),
  create: (options) => new InMemoryEventStore(options),
  capabilities: { reopen: false, maxBytes: 1024 * 1024 - 2048 },
});
