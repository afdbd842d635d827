import { assert, assertEquals } from "@std/assert";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { createEvent, InMemoryCheckpointStore, InMemoryEventStore } from "../../../store/mod.ts";
import { quick, Run } from "./bed.ts";
import { inSpan, Telemetry } from "../../support/telemetry.ts";

const telemetry = new Telemetry();

Deno.test("a handler's call is a span under the one that made the event, and is measured", async () => {
  await using store = new InMemoryEventStore({ namespace: "shop" });
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  const name = `model-${crypto.randomUUID()}`;
  const save = (actorId: string, eventType: string, metadata = {}) =>
    store.saveEvent(createEvent({ eventType, actorId, version: 1, data: null, metadata }));
  const { traceId, spanId } = await inSpan("request", async (user) => {
    const { traceId, spanId } = user.spanContext();
    await save("order-1", "Placed", { traceparent: `00-${traceId}-${spanId}-01` });
    return { traceId, spanId };
  });
  await save("order-2", "Broken");
  await using run = new Run(quick(bed, {
    name,
    onPoison: "park",
    handler: async (event) => {
      if (event.eventType === "Broken") throw new RangeError("it is broken");
      await inSpan("work", async () => {});
    },
  }));
  await run.projection.caughtUp;

  const found = telemetry.spansOf(traceId);
  const project = found.get(`project ${name}`)!;
  assertEquals(project.kind, SpanKind.CONSUMER);
  assertEquals(project.parentSpanContext?.spanId, spanId);
  assertEquals(found.get("work")!.parentSpanContext?.spanId, project.spanContext().spanId);
  assertEquals(project.attributes["aether.actor.id"], "order-1");
  assertEquals(project.attributes["aether.projection.version"], 1);
  const failed = telemetry.spans.filter((span) =>
    span.name === `project ${name}` && span.status.code === SpanStatusCode.ERROR
  );
  assertEquals(
    failed.map(({ attributes }) => attributes["error.type"]),
    Array(3).fill("RangeError"),
  );

  const by = ["aether.event.type", "error.type"];
  assertEquals(await telemetry.measured(["aether.projection.name", name], by), {
    "aether.projection.duration s Placed": 1,
    "aether.projection.duration s Broken RangeError": 3,
    "aether.projection.parked.events {event} Broken": 1,
  });
  const { duration, ...counts } = run.projection.metrics;
  assertEquals(counts, { handled: 1, failed: 3, parked: 1 });
  assert(duration >= 0);
});
