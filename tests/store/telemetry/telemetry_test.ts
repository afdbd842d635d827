import { assert, assertEquals, assertRejects } from "@std/assert";
import { type SpanContext, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { LocalEventBus } from "../../../bus/local.ts";
import { createEvent, type Event } from "../../../store/event.ts";
import { JetStreamEventStore } from "../../../store/jetstream/event_store.ts";
import { InMemoryEventStore } from "../../../store/memory/event_store.ts";
import { InMemoryCheckpointStore } from "../../../store/projection/memory_checkpoints.ts";
import { Projection } from "../../../store/projection/projection.ts";
import { natsTest, uniqueNamespace } from "../../support/fixture.ts";
import { exported, inSpan, Telemetry } from "../../support/telemetry.ts";

/** The work of another process that has Deno's own OpenTelemetry. */
async function emit(): Promise<void> {
  await using store = new InMemoryEventStore({ namespace: "shop" });
  await store.saveEvent(event(1));
  await store.getEvents("order-1");
  const checkpoints = new InMemoryCheckpointStore();
  await using projection = new Projection({ name: "model", store, checkpoints, handler() {} });
  const running = projection.run();
  await projection.caughtUp;
  const { reads } = store.metrics;
  // Each collection looks at the store: at the third one the first is exported.
  while (store.metrics.reads < reads + 3) await new Promise((resolve) => setTimeout(resolve, 5));
  await projection[Symbol.asyncDispose]();
  await running;
}

const emitting = Deno.args[0] === "--emit";
if (emitting) await emit();
const telemetry = emitting ? undefined! : new Telemetry();

function event(version: number, init: Partial<Event> = {}): Event {
  const order = { eventType: "OrderPlaced", actorId: "order-1", data: null };
  return { ...createEvent({ ...order, version }), ...init };
}

/** An event that a span made which is known by its trace context alone. */
function madeBy(span: string, version: number): Event {
  return event(version, { metadata: { traceparent: `00-${TRACE}-${span}-01` } });
}

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const [ONE, OTHER] = ["b7ad6b7169203331", "00f067aa0ba902b7"];

/** The spans of one namespace's store, as they ended. */
function spansIn(namespace: string) {
  return telemetry.spans.filter(({ attributes }) => attributes["db.namespace"] === namespace);
}

function linked(links: readonly { context: SpanContext }[]): string[] {
  return links.map(({ context }) => context.spanId);
}

natsTest(
  "a save is a span under the user's, and what it publishes is under the save",
  async (scene) => {
    const { namespace } = scene;
    await using broadcaster = new LocalEventBus();
    const options = { namespace, broadcaster };
    await using store = await JetStreamEventStore.open(await scene.connect(), options);
    const user = await inSpan("request", async (span) => {
      await store.saveEvents([event(1), event(2)]);
      return span.spanContext();
    });
    const found = telemetry.spansOf(user.traceId);
    const save = found.get(`saveEvents ${store.stream}`)!;
    assertEquals(save.parentSpanContext?.spanId, user.spanId);
    assertEquals(save.kind, SpanKind.CLIENT);
    assertEquals(save.status.code, SpanStatusCode.UNSET);
    assertEquals({ ...save.attributes }, {
      "db.system.name": "nats",
      "db.namespace": namespace,
      "db.collection.name": store.stream,
      "db.operation.name": "saveEvents",
      "aether.actor.id": "order-1",
      "aether.event.count": 2,
      "aether.save.outcome": "saved",
    });
    const published = found.get(`publish ${namespace}`)!;
    assertEquals(published.parentSpanContext?.spanId, save.spanContext().spanId);
  },
);

natsTest("saves that go out in one batch publish under their own spans each", async (scene) => {
  const { namespace } = scene;
  await using broadcaster = new LocalEventBus();
  const options = { namespace, broadcaster };
  await using store = await JetStreamEventStore.open(await scene.connect(), options);
  const count = 100;
  await Promise.all(
    Array.from(
      { length: count },
      (_, at) => inSpan("request", async () => await store.saveEvent(event(at + 1))),
    ),
  );
  const saves = new Set(spansIn(namespace).map((span) => span.spanContext().spanId));
  const publishes = telemetry.spans.filter(({ name }) => name === `publish ${namespace}`);
  const parents = new Set(publishes.map((span) => span.parentSpanContext?.spanId));
  assertEquals([saves.size, publishes.length], [count, count]);
  assertEquals(parents, saves);
});

Deno.test("a save without an active span is under the one that made its event", async () => {
  const namespace = uniqueNamespace();
  await using store = new InMemoryEventStore({ namespace });
  await store.saveEvent(madeBy(ONE, 1));
  const [save] = spansIn(namespace);
  assertEquals(save!.spanContext().traceId, TRACE);
  assertEquals(save!.parentSpanContext?.spanId, ONE);
  assertEquals(linked(save!.links), []);
  assertEquals([save!.name, save!.kind], [`saveEvents ${namespace}`, SpanKind.INTERNAL]);
});

Deno.test("a save is linked to all spans that made its events but its parent", async () => {
  const namespace = uniqueNamespace();
  await using store = new InMemoryEventStore({ namespace });
  const events = [madeBy(ONE, 1), madeBy(OTHER, 2), madeBy(ONE, 3), event(4), event(5)];
  await store.saveEvents(events);
  await inSpan("request", async (span) => {
    const { traceId, spanId } = span.spanContext();
    const own = event(6, { metadata: { traceparent: `00-${traceId}-${spanId}-01` } });
    await store.saveEvents([own, madeBy(OTHER, 7)]);
  });
  const [several, active] = spansIn(namespace);
  assertEquals(several!.parentSpanContext, undefined);
  assertEquals(linked(several!.links), [ONE, OTHER]);
  assert(active!.parentSpanContext !== undefined);
  assertEquals(linked(active!.links), [OTHER]);
});

Deno.test("saved events are unchanged, with an SDK too", async () => {
  await using store = new InMemoryEventStore();
  const given = [event(1), madeBy(ONE, 2)];
  await inSpan("request", () => store.saveEvents(given));
  assertEquals(await store.getEvents("order-1"), given);
});

Deno.test("errors are in the spans, and an SDK changes nothing about them", async () => {
  const namespace = uniqueNamespace();
  await using store = new InMemoryEventStore({ namespace });
  await store.saveEvent(event(1));
  await assertRejects(() => store.saveEvent(event(1)));
  for (const wrong of [undefined, null, 7, [], [undefined], [7], [{ metadata: 7 }]]) {
    await assertRejects(() => store.saveEvents(wrong as unknown as Event[]));
  }
  await assertRejects(() => store.getEvents(""), RangeError);
  const failed = spansIn(namespace).filter(({ status }) => status.code === SpanStatusCode.ERROR);
  assertEquals(failed.length, 9);
  const [conflict] = failed;
  assertEquals(conflict!.attributes["error.type"], "VersionConflictError");
  assertEquals(conflict!.attributes["aether.save.outcome"], "conflict");
  assertEquals(failed.at(-1)!.attributes["error.type"], "RangeError");
});

natsTest("reads and uncached lookups are spans, cached lookups are none", async (scene) => {
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await store.saveEvents([event(1), event(2), event(3)]);
  const user = await inSpan("request", async (span) => {
    await store.getEvents("order-1");
    for await (const _ of store.readEvents("order-1")) break;
    await store.getEventsWithErrors("order-1");
    for await (const _ of store.readAll());
    await store.getLatestVersion("order-1");
    await store.getLatestVersion("order-1", { fresh: true });
    return span.spanContext();
  });
  const found = spansIn(namespace).slice(1);
  assertEquals(
    found.map(({ attributes }) => [
      attributes["db.operation.name"],
      attributes["aether.actor.id"],
      attributes["aether.event.count"],
    ]),
    [
      ["getEvents", "order-1", 3],
      ["readEvents", "order-1", 1],
      ["getEventsWithErrors", "order-1", 3],
      ["readAll", undefined, 3],
      ["getLatestVersion", "order-1", undefined],
    ],
  );
  for (const span of found) assertEquals(span.parentSpanContext?.spanId, user.spanId);
});

natsTest("the instruments count what store.metrics counts", async (scene) => {
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  const first = event(1);
  await store.saveEvents([first, event(2)]);
  await store.saveEvent(first);
  await assertRejects(() => store.saveEvent(event(2)));
  await store.getEvents("order-1");
  await assertRejects(() => store.getEvents(""));
  await store.getLatestVersion("order-1");
  await store.getLatestVersion("order-1", { fresh: true });
  const subscription = store.subscribe();
  for await (const { version } of subscription) if (version === 2) break;
  const active = telemetry.measured(["db.namespace", namespace], []);
  assertEquals((await active)["aether.store.subscriptions {subscription}"], 0);
  const measured = await telemetry.measured(["db.namespace", namespace], [
    ...["db.system.name", "db.operation.name", "aether.save.outcome", "aether.lookup.cached"],
    "error.type",
  ]);
  assertEquals(measured, {
    "db.client.operation.duration s nats saveEvents": 2,
    "db.client.operation.duration s nats saveEvents VersionConflictError": 1,
    "db.client.operation.duration s nats getEvents": 1,
    "db.client.operation.duration s nats getEvents RangeError": 1,
    "db.client.operation.duration s nats getLatestVersion": 1,
    "db.client.response.returned_rows {row} nats getEvents": 1,
    "db.client.response.returned_rows {row} nats getEvents RangeError": 1,
    "aether.store.saves {save} nats saved": 1,
    "aether.store.saves {save} nats duplicate": 1,
    "aether.store.saves {save} nats conflict": 1,
    "aether.store.active_saves {save} nats": 0,
    "aether.store.saved.events {event} nats": 2,
    "aether.store.lookups {lookup} nats true": 1,
    "aether.store.lookups {lookup} nats false": 1,
    "aether.store.subscriptions {subscription} nats": 0,
    "aether.store.delivered.events {event} nats": 2,
  });
  const { saves, eventsSaved, lookups, eventsDelivered } = store.metrics;
  assertEquals([saves.saved, saves.duplicate, saves.conflict, eventsSaved], [1, 1, 1, 2]);
  assertEquals([lookups.cached, lookups.uncached, eventsDelivered], [1, 1, 2]);
});

Deno.test("spans and instruments carry the package's name and version", async () => {
  const { name, version } = JSON.parse(
    await Deno.readTextFile(new URL("../../../deno.json", import.meta.url)),
  );
  const namespace = uniqueNamespace();
  await using store = new InMemoryEventStore({ namespace });
  await store.saveEvent(event(1));
  const [save] = spansIn(namespace);
  assertEquals({ ...save!.instrumentationScope, schemaUrl: "" }, { name, version, schemaUrl: "" });
  assertEquals((await telemetry.scopes()).get(name), version);
});

Deno.test("Deno's own OpenTelemetry exports the store's spans and metrics", async () => {
  const bodies = await exported(import.meta.filename!);
  assert(bodies["/v1/traces"]?.includes("saveEvents shop"));
  assert(bodies["/v1/traces"]?.includes("getEvents shop"));
  assert(bodies["/v1/metrics"]?.includes("db.client.operation.duration"));
  assert(bodies["/v1/metrics"]?.includes("aether.projection.lag"));
});
