import { assert, assertEquals, assertRejects } from "@std/assert";
import { createEvent, type Event } from "../../../store/event.ts";
import { JetStreamEventStore } from "../../../store/jetstream/event_store.ts";
import { InMemoryEventStore } from "../../../store/memory/event_store.ts";
import type { StoreLatency, StoreMetrics } from "../../../store/telemetry/metrics.ts";
import type { EventStore } from "../../../store/store.ts";
import { natsTest } from "../../support/fixture.ts";

function event(version: number, init: Partial<Event> = {}): Event {
  const order = { eventType: "OrderPlaced", actorId: "order-1", data: null };
  return { ...createEvent({ ...order, version }), ...init };
}

/** The numbers that do not depend on the clock, and how often it was looked at. */
function numbers({ saveLatency, readLatency, lookupLatency, ...rest }: StoreMetrics) {
  const measured = ({ count, total, max }: StoreLatency) => {
    assert(max <= total && (count > 1 || max === total), `${count}, ${total}, ${max}`);
    return count;
  };
  return { ...rest, measured: [saveLatency, readLatency, lookupLatency].map(measured) };
}

const ZERO = {
  saves: {
    ...{ saved: 0, duplicate: 0, conflict: 0, refused: 0, unavailable: 0, unknown: 0, failed: 0 },
  },
  activeSaves: 0,
  batches: 0,
  eventsSaved: 0,
  reads: 0,
  readErrors: 0,
  eventsRead: 0,
  lookups: { cached: 0, uncached: 0, failed: 0 },
  activeSubscriptions: 0,
  eventsDelivered: 0,
  measured: [0, 0, 0],
};

async function count(iterable: AsyncIterable<unknown>, atMost = Infinity): Promise<number> {
  let found = 0;
  for await (const _ of iterable) if (++found === atMost) break;
  return found;
}

/** Uses a store in each way, and checks what it counted. */
async function check(store: EventStore & { metrics: StoreMetrics }, uncached: 0 | 1) {
  assertEquals(numbers(store.metrics), ZERO);
  const first = event(1);
  const { metrics: before } = store;
  await store.saveEvent(first);
  assertEquals(numbers(before), ZERO);
  await store.saveEvent(first);
  await store.saveEvents([event(2), event(3), event(1, { actorId: "order-2" })]);
  await assertRejects(() => store.saveEvent(event(2)), Error, "current version is 3");
  await assertRejects(() => store.saveEvent(event(4, { data: NaN })));
  await assertRejects(() => store.saveEvents([]), RangeError);
  await assertRejects(() => store.saveEvents(undefined as unknown as Event[]));
  const signal = AbortSignal.abort(new Error("no patience"));
  await assertRejects(() => store.saveEvents([event(4)], { signal }));
  const saves = {
    ...{ saved: 2, duplicate: 1, conflict: 1, refused: 3, unavailable: 1, unknown: 0, failed: 0 },
  };
  const saved = { ...ZERO, saves, batches: 1, eventsSaved: 4, measured: [3, 0, 0] };
  assertEquals(numbers(store.metrics), saved);

  assertEquals((await store.getEvents("order-1", 2)).length, 2);
  assertEquals((await store.getEventsWithErrors("order-1")).events.length, 3);
  assertEquals(await count(store.readEvents("order-1")), 3);
  assertEquals(await count(store.readEvents("order-1", { direction: "backwards", limit: 2 })), 2);
  assertEquals(await count(store.readAll({ filter: { actorId: "order-2" } })), 1);
  assertEquals(await count(store.readAll(), 2), 2);
  await assertRejects(() => store.getEvents(""), RangeError);
  await assertRejects(() => count(store.readEvents("order-1", { limit: -1 })), RangeError);
  await assertRejects(() => count(store.readAll({ signal })), Error, "no patience");
  const read = { ...saved, reads: 6, readErrors: 3, eventsRead: 13, measured: [3, 2, 0] };
  assertEquals(numbers(store.metrics), read);

  assertEquals(await store.getLatestVersion("order-1"), 3);
  assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 3);
  await assertRejects(() => store.getLatestVersion(""), RangeError);
  const lookups = { cached: 2 - uncached, uncached, failed: 0 };
  const looked = { ...read, lookups, measured: [3, 2, uncached] };
  assertEquals(numbers(store.metrics), looked);

  const subscription = store.subscribe({ filter: { actorId: "order-1" } });
  assertEquals(store.metrics.activeSubscriptions, 1);
  assertEquals(await count(subscription, 3), 3);
  await subscription[Symbol.asyncDispose]();
  assertEquals(numbers(store.metrics), { ...looked, eventsDelivered: 3 });

  const active = [store.saveEvent(event(4)), store.saveEvent(event(5))];
  assertEquals(store.metrics.activeSaves, 2);
  await Promise.all(active);
  assertEquals(store.metrics.activeSaves, 0);
}

Deno.test("InMemoryEventStore counts saves, reads and lookups", async () => {
  await using store = new InMemoryEventStore();
  await check(store, 0);
});

natsTest("JetStreamEventStore counts saves, reads and lookups", async (scene) => {
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await check(store, 1);
});

natsTest(
  "saves whose outcome is unknown, and those that cannot be sent, count apart",
  async (scene) => {
    const { namespace } = scene;
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 500 });
    await store.saveEvent(event(1));
    proxy.pause();
    await assertRejects(() => store.saveEvent(event(2)));
    await assertRejects(() => store.getLatestVersion("order-2"));
    proxy.resume();
    await store[Symbol.asyncDispose]();
    await assertRejects(() => store.saveEvent(event(3)));
    const { saves, lookups, activeSaves } = store.metrics;
    const { saved, unknown, unavailable } = saves;
    assertEquals({ saved, unknown, unavailable }, { saved: 1, unknown: 1, unavailable: 1 });
    assertEquals([lookups.failed, activeSaves], [1, 0]);
  },
);

Deno.test("a snapshot of the metrics is the reader's own", async () => {
  await using store = new InMemoryEventStore();
  const metrics = store.metrics as { eventsSaved: number; saves: { saved: number } };
  metrics.eventsSaved = metrics.saves.saved = 99;
  assertEquals(numbers(store.metrics), ZERO);
});
