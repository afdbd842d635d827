import { assertEquals, assertThrows } from "@std/assert";
import type { Subscription } from "../../bus/bus.ts";
import { LocalEventBus } from "../../bus/local.ts";
import { createEvent } from "../../store/event.ts";
import { InMemoryEventStore } from "../../store/memory/event_store.ts";
import { eventBusSuite } from "../../testing/event_bus/suite.ts";

eventBusSuite({
  test: (name, run) => Deno.test(`LocalEventBus: ${name}`, run),
  skip: (name, reason) =>
    Deno.test({ name: `LocalEventBus: ${name} (${reason})`, ignore: true, fn() {} }),
  create: (options) => {
    const bus = new LocalEventBus(options);
    return { bus, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() };
  },
  capabilities: { nodes: false },
});

Deno.test("LocalEventBus: EventStored comes through the ordinary publish", async () => {
  await using bus = new LocalEventBus();
  await using store = new InMemoryEventStore({ namespace: "orders", broadcaster: bus });
  await using stored = bus.subscribe("orders", { eventTypes: ["EventStored"] });
  const event = { eventType: "OrderPlaced", actorId: "order-7", data: null };
  await store.saveEvent(createEvent({ ...event, version: 1 }));
  assertEquals(stored.queued, 1);
  assertEquals(bus.metrics.series[0]?.eventType, "EventStored");
  assertEquals(bus.metrics.published, 1);
});

Deno.test("LocalEventBus: a refused save never reaches a subscriber", async () => {
  await using bus = new LocalEventBus();
  await using store = new InMemoryEventStore({ namespace: "orders", broadcaster: bus });
  await using all = bus.subscribe(">");
  const init = { eventType: "OrderPlaced", actorId: "order-7", version: 1, data: null };
  await store.saveEvent(createEvent(init));
  await store.saveEvent(createEvent(init)).catch(() => {});
  assertEquals(all.queued, 1);
});

Deno.test("LocalEventBus: ended subscriptions leave nothing behind in a long-lived signal", async () => {
  await using bus = new LocalEventBus();
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners.add(args[1]);
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners.delete(args[1]);
    remove(...args);
  };
  const ways: ((subscription: Subscription) => Promise<unknown>)[] = [
    (subscription) => subscription[Symbol.asyncDispose](),
    (subscription) => subscription[Symbol.asyncIterator]().return!(),
  ];
  for (const end of ways) {
    const subscription = bus.subscribe("orders", { signal });
    assertEquals(listeners.size, 1);
    await end(subscription);
    assertEquals(listeners.size, 0);
  }
});

Deno.test("LocalEventBus: a hook that throws fails neither publisher nor handler", async () => {
  const written: unknown[] = [];
  const { error } = console;
  console.error = (...args: unknown[]) => void written.push(args);
  try {
    const fail = () => {
      throw new Error("no");
    };
    await using bus = new LocalEventBus({ onDrop: fail, onError: fail });
    const handled = Promise.withResolvers<void>();
    bus.on("orders", ({ version }) => {
      if (version === 1) throw new Error("neither");
      handled.resolve();
    });
    await using _slow = bus.subscribe("orders", { capacity: 1 });
    const init = { eventType: "OrderPlaced", actorId: "order-7", data: null };
    await bus.publish("orders", createEvent({ ...init, version: 1 }));
    await bus.publish("orders", createEvent({ ...init, version: 2 }));
    await handled.promise;
    assertEquals(written.length, 2);
  } finally {
    console.error = error;
  }
});

Deno.test("LocalEventBus: a limit that holds nothing, or no event, is refused", () => {
  for (const maxBytes of [NaN, Infinity, 0, 10, 2303, 4000.5, "4096" as never, null as never]) {
    assertThrows(() => new LocalEventBus({ maxBytes }), RangeError, "maxBytes is");
  }
});
