import { assert, assertEquals } from "@std/assert";
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { LocalEventBus } from "../../bus/local.ts";
import { NatsEventBus } from "../../bus/nats.ts";
import { createEvent, type Event } from "../../store/event.ts";
import { natsTest } from "../support/fixture.ts";
import { exported, inSpan, Telemetry } from "../support/telemetry.ts";

/** The work of another process that has Deno's own OpenTelemetry. */
async function emit(): Promise<void> {
  await using bus = new LocalEventBus();
  bus.on("orders", () => {});
  await bus.publish("orders", event());
}

const emitting = Deno.args[0] === "--emit";
if (emitting) await emit();
const telemetry = emitting ? undefined! : new Telemetry();

function event(init: Partial<Event> = {}): Event {
  return createEvent({
    eventType: "OrderPlaced",
    actorId: "order-7",
    version: 1,
    data: null,
    ...init,
  });
}

natsTest(
  "one trace leads from the user's span over the publish to a handler on another node",
  async (scene) => {
    await using bus = new NatsEventBus(await scene.connect());
    await using peer = new NatsEventBus(await scene.connect());
    const handled = Promise.withResolvers<void>();
    const listener = peer.on("orders", () => {
      trace.getTracer("user").startSpan("work").end();
      handled.resolve();
    });
    await listener.ready;
    const { traceId, spanId } = await inSpan("request", async (user) => {
      await bus.publish("orders", event());
      return user.spanContext();
    });
    await handled.promise;
    await peer[Symbol.asyncDispose]();

    const found = telemetry.spansOf(traceId);
    const [publish, process, work] = ["publish orders", "process orders", "work"]
      .map((name) => found.get(name)!);
    assertEquals(publish!.parentSpanContext?.spanId, spanId);
    assertEquals(process!.parentSpanContext?.spanId, publish!.spanContext().spanId);
    assertEquals(work!.parentSpanContext?.spanId, process!.spanContext().spanId);
    assertEquals([publish!.kind, process!.kind], [SpanKind.PRODUCER, SpanKind.CONSUMER]);
    assertEquals(publish!.attributes["messaging.system"], "nats");
    assertEquals(publish!.attributes["messaging.operation.type"], "send");
    assertEquals(publish!.attributes["messaging.destination.name"], "orders");
    assertEquals(process!.attributes["messaging.operation.type"], "process");
  },
);

Deno.test("an event's own trace context travels unchanged, and the spans are under it", async () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const metadata = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, tracestate: "a=b" };
  await using bus = new LocalEventBus();
  const seen = Promise.withResolvers<Event>();
  bus.on("orders", (event) => seen.resolve(event));
  await bus.publish("orders", event({ metadata }));
  assertEquals((await seen.promise).metadata, metadata);
  await bus[Symbol.asyncDispose]();
  const found = telemetry.spansOf(traceId);
  assertEquals(found.get("publish orders")?.parentSpanContext?.spanId, "b7ad6b7169203331");
  assertEquals(found.get("process orders")?.parentSpanContext?.spanId, "b7ad6b7169203331");
});

Deno.test("what goes wrong is in the spans", async () => {
  telemetry.spans.length = 0;
  await using bus = new LocalEventBus({ onError: () => {} });
  bus.on("billing", () => {
    throw new RangeError("no");
  });
  await bus.publish("billing", event());
  await bus.publish("billing", event({ data: NaN })).catch(() => {});
  await bus.publish("billing", undefined as unknown as Event).catch(() => {});
  await bus[Symbol.asyncDispose]();
  const failed = telemetry.spans.filter(({ status }) => status.code === SpanStatusCode.ERROR);
  assertEquals(
    failed.map((span) => [span.name, span.attributes["error.type"]]).sort(),
    [["process billing", "RangeError"], ["publish billing", "InvalidEventError"]],
  );
});

Deno.test("the instruments count what bus.metrics counts", async () => {
  await using bus = new LocalEventBus({ onDrop: () => {}, onError: () => {} });
  bus.on("audit", ({ version }) => {
    if (version === 3) throw new RangeError("no");
  });
  const slow = bus.subscribe("audit", { capacity: 1 });
  for (const version of [1, 2, 3]) await bus.publish("audit", event({ version }));
  await slow[Symbol.asyncIterator]().next();
  await slow[Symbol.asyncDispose]();
  await bus[Symbol.asyncDispose]();
  const measured = await telemetry.measured(
    ["messaging.destination.name", "audit"],
    ["messaging.system", "aether.event.type", "error.type"],
  );
  assertEquals(measured, {
    "messaging.client.sent.messages {message} aether OrderPlaced": 3,
    "messaging.client.consumed.messages {message} aether OrderPlaced": 4,
    "messaging.process.duration s aether OrderPlaced": 2,
    "messaging.process.duration s aether OrderPlaced RangeError": 1,
    "aether.bus.dropped.messages {message} aether OrderPlaced": 2,
    "aether.bus.latency s aether OrderPlaced": 4,
  });
  const { published, delivered, dropped, errors: thrown } = bus.metrics;
  assertEquals([published, delivered, dropped, thrown], [3, 4, 2, 1]);
});

Deno.test("Deno's own OpenTelemetry exports the bus's spans and metrics", async () => {
  const bodies = await exported(import.meta.filename!);
  assert(bodies["/v1/traces"]?.includes("publish orders"));
  assert(bodies["/v1/traces"]?.includes("process orders"));
  assert(bodies["/v1/metrics"]?.includes("messaging.client.sent.messages"));
});
