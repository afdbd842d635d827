/** The real OpenTelemetry SDK, exporting to memory; and Deno's own, exporting to a collector. */
import { context, metrics, type Span, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { type ReadableSpan, type SpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { assertEquals } from "@std/assert";

/** Collects when asked, without a timer. */
class AskedReader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** The telemetry that the SDK received. */
export class Telemetry {
  /** The spans that have ended, in that order. */
  readonly spans: ReadableSpan[] = [];
  readonly #reader = new AskedReader();

  /** Installs the SDK for this process. */
  constructor() {
    // As the SDK's exporter in memory, which answers by a timer that would outlive a test.
    const keeper: SpanProcessor = {
      onStart: () => {},
      onEnd: (span) => void this.spans.push(span),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    };
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [keeper] }));
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [this.#reader] }));
  }

  /** The spans of one trace, by name. */
  spansOf(traceId: string): Map<string, ReadableSpan> {
    const own = this.spans.filter((span) => span.spanContext().traceId === traceId);
    return new Map(own.map((span) => [span.name, span]));
  }

  /**
   * All that was measured where `attribute` has `value`: sums, or counts of histograms, by name,
   * unit and the values of `by`.
   */
  async measured(
    [attribute, wanted]: readonly [string, string],
    by: readonly string[],
  ): Promise<Record<string, number>> {
    const { resourceMetrics, errors } = await this.#reader.collect();
    assertEquals(errors, []);
    const measured: Record<string, number> = {};
    for (const { metrics } of resourceMetrics.scopeMetrics) {
      for (const { descriptor: { name, unit }, dataPoints } of metrics) {
        for (const { attributes, value } of dataPoints) {
          if (attributes[attribute] !== wanted) continue;
          const key = [name, unit, ...by.map((it) => attributes[it])]
            .filter((part) => part !== undefined).join(" ");
          measured[key] = typeof value === "number" ? value : (value as { count: number }).count;
        }
      }
    }
    return measured;
  }

  /** The versions of the scopes that have measured something. */
  async scopes(): Promise<Map<string, string | undefined>> {
    const { resourceMetrics: { scopeMetrics } } = await this.#reader.collect();
    return new Map(scopeMetrics.map(({ scope: { name, version } }) => [name, version]));
  }
}

/** Runs `work` in a span of the user's. */
export async function inSpan<T>(name: string, work: (span: Span) => Promise<T>): Promise<T> {
  const span = trace.getTracer("user").startSpan(name);
  try {
    return await context.with(trace.setSpan(context.active(), span), () => work(span));
  } finally {
    span.end();
  }
}

/**
 * Runs the script at `path` with `--emit` in a process that has Deno's own OpenTelemetry; gives
 * what came to a collector on loopback, by path.
 */
export async function exported(path: string): Promise<Record<string, string>> {
  const bodies: Record<string, string> = {};
  await using collector = Deno.serve({ port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    bodies[pathname] = (bodies[pathname] ?? "") + await request.text();
    return Response.json({});
  });
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", config, path, "--emit"],
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRIC_EXPORT_INTERVAL: "50",
    },
    stdout: "inherit",
  }).output();
  assertEquals(success, true);
  return bodies;
}
