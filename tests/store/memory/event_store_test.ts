import { InMemoryEventStore } from "../../../store/memory/event_store.ts";
import { eventStoreSuite } from "../../../testing/event_store/suite.ts";

/** The tests that depend on the bytes that one message has room for. */
const EDGES =
  /a save of \d+ events|message is stored|none torn|largest event|too large|EventTooLarge/;

for (const maxBytes of [4_096, 16_384, 65_536]) {
  eventStoreSuite({
    test: (name, run) => {
      // All of the smallest: no other test may need more room than a store has.
      const isWanted = maxBytes === 4_096 || EDGES.test(name);
      if (isWanted) Deno.test(`InMemoryEventStore, ${maxBytes} bytes: ${name}`, run);
    },
    create: (options) => new InMemoryEventStore({ ...options, maxBytes }),
    capabilities: { reopen: false, maxBytes: maxBytes - 2048 },
  });
}

eventStoreSuite({
  test: (name, run) => Deno.test(`InMemoryEventStore: ${name}`, run),
  skip: (name, reason) =>
    Deno.test({ name: `InMemoryEventStore: ${name} (${reason})`, ignore: true, fn() {} }),
  create: (options) => new InMemoryEventStore(options),
  capabilities: { reopen: false, maxBytes: 1024 * 1024 - 2048 },
});
