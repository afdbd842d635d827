import { assert, assertEquals } from "@std/assert";
import { context, metrics, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "npm:@opentelemetry/context-async-hooks@^3.1.1";
import { MeterProvider, MetricReader } from "npm:@opentelemetry/sdk-metrics@^3.1.1";
import {
  type ReadableSpan,
  type SpanProcessor,
  TracerProvider,
} from "npm:@opentelemetry/sdk-trace@^3.1.1";
import { LocalEventBus } from "../bus/local.ts";
import { NatsEventBus } from "../bus/nats.ts";
import { createEvent, type Event } from "../store/event.ts";
import { natsTest } from "./fixture.ts";

/** What another process does that has Deno's own OpenTelemetry. */
async function emit(): Promise<void> {
  await using bus = new LocalEventBus();
  bus.on("orders", () => {});
  await bus.publish("orders", event());
}

if (Deno.args[0] === "--emit") await emit();

/** Collects when asked, without a timer. */
class AskedReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

const spans: ReadableSpan[] = [];
/** As the SDK's exporter in memory, which answers by a timer that would outlive a test. */
const keeper: SpanProcessor = {
  onStart: () => {},
  onEnd: (span) => void spans.push(span),
  forceFlush: () => Promise.resolve(),
  shutdown: () => Promise.resolve(),
};
const reader = new AskedReader();
if (Deno.args.length === 0) {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [keeper] }),
  );
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
}

function event(init: Partial<Event> = {}): Event {
  return createEvent({
    eventType: "OrderPlaced",
    actorId: "order-7",
    version: 1,
    data: null,
    ...init,
  });
}

/** The spans of one trace, by name. */
function spansOf(traceId: string): Map<string, ReadableSpan> {
  const own = spans.filter((span) => span.spanContext().traceId === traceId);
  return new Map(own.map((span) => [span.name, span]));
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
    const user = trace.getTracer("user").startSpan("request");
    await context.with(
      trace.setSpan(context.active(), user),
      () => bus.publish("orders", event()),
    );
    user.end();
    await handled.promise;
    await peer[Symbol.asyncDispose]();

    const { traceId, spanId } = user.spanContext();
    const found = spansOf(traceId);
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
  const found = spansOf(traceId);
  assertEquals(found.get("publish orders")?.parentSpanContext?.spanId, "b7ad6b7169203331");
  assertEquals(found.get("process orders")?.parentSpanContext?.spanId, "b7ad6b7169203331");
});

Deno.test("what goes wrong is in the spans", async () => {
  spans.length = 0;
  await using bus = new LocalEventBus({ onError: () => {} });
  bus.on("billing", () => {
    throw new RangeError("no");
  });
  await bus.publish("billing", event());
  await bus.publish("billing", event({ data: NaN })).catch(() => {});
  await bus.publish("billing", undefined as unknown as Event).catch(() => {});
  await bus[Symbol.asyncDispose]();
  const failed = spans.filter(({ status }) => status.code === SpanStatusCode.ERROR);
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
  const { resourceMetrics, errors } = await reader.collect();
  assertEquals(errors, []);
  const measured = new Map<string, number>();
  for (const { metrics } of resourceMetrics.scopeMetrics) {
    for (const { descriptor, dataPoints } of metrics) {
      for (const { attributes, value } of dataPoints) {
        if (attributes["messaging.destination.name"] !== "audit") continue;
        assertEquals(attributes["messaging.system"], "aether");
        assertEquals(attributes["aether.event.type"], "OrderPlaced");
        const failed = attributes["error.type"] === undefined ? "" : ` ${attributes["error.type"]}`;
        const count = typeof value === "number" ? value : (value as { count: number }).count;
        measured.set(`${descriptor.name} ${descriptor.unit}${failed}`, count);
      }
    }
  }
  assertEquals(Object.fromEntries(measured), {
    "messaging.client.sent.messages {message}": 3,
    "messaging.client.consumed.messages {message}": 4,
    "messaging.process.duration s": 2,
    "messaging.process.duration s RangeError": 1,
    "aether.bus.dropped.messages {message}": 2,
    "aether.bus.latency s": 4,
  });
  const { published, delivered, dropped, errors: thrown } = bus.metrics;
  assertEquals([published, delivered, dropped, thrown], [3, 4, 2, 1]);
});

Deno.test("Deno's own OpenTelemetry exports the bus's spans and metrics", async () => {
  const bodies: Record<string, string> = {};
  await using collector = Deno.serve({ port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    bodies[pathname] = (bodies[pathname] ?? "") + await request.text();
    return Response.json({});
  });
  const config = new URL("../deno.json", import.meta.url).pathname;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", config, import.meta.filename!, "--emit"],
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    },
    stdout: "inherit",
  }).output();
  assert(success);
  assert(bodies["/v1/traces"]?.includes("publish orders"));
  assert(bodies["/v1/traces"]?.includes("process orders"));
  assert(bodies["/v1/metrics"]?.includes("messaging.client.sent.messages"));
});
