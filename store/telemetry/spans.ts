import { nameOf, textOf } from "../base/text.ts";
import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  type Link,
  type ProxyTracerProvider,
  type Span,
  type SpanContext,
  type SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import type { Event } from "../event.ts";
import { SCOPE, SCOPE_VERSION } from "./scope.ts";

/** The most links of a span, the default of OpenTelemetry's SDKs. */
const MAX_LINKS = 128;

/** A span that has begun, and the context to do its work in. */
export interface Spanned {
  readonly span: Span;
  readonly within: Context;
}

/** The arguments of a span. */
export interface SpanInit {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  /** Its events: the trace contexts in their metadata join it to the spans that made them. */
  readonly events: readonly Pick<Event, "metadata">[];
  /**
   * Its parent: `"active"`, the active span, when events are made and passed on; `"event"`, the span
   * that made the first of the events, when they are handled. If there is none, the other one. With
   * `"none"` it begins a trace of its own, linked to the spans that made the events.
   */
  readonly under: "active" | "event" | "none";
}

/**
 * Begins this library's spans, joined across processes by W3C trace context in the metadata of
 * events. Without an SDK of OpenTelemetry it only looks whether there is one by now.
 */
export class Spans {
  readonly #tracer: Tracer = trace.getTracer(SCOPE, SCOPE_VERSION);
  #installed = false;

  /** Whether a tracing SDK is installed by now. Check before you gather the arguments of a span. */
  get installed(): boolean {
    if (this.#installed) return true;
    const provider = trace.getTracerProvider() as Partial<ProxyTracerProvider>;
    const absent = provider.getDelegateTracer !== undefined &&
      provider.getDelegateTracer(SCOPE, SCOPE_VERSION) === undefined;
    return this.#installed = !absent;
  }

  /** Begins a span; `undefined` if nothing records it. */
  begin({ name, kind, attributes, events, under }: SpanInit): Spanned | undefined {
    const here = context.active();
    const active = trace.getSpanContext(here);
    const made = contextsOf(events);
    // If several spans made them, none is the parent: then all are linked.
    const maker = under === "event" || made.length === 1 ? made[0] : undefined;
    const isRoot = under === "none";
    const parent = isRoot ? undefined : under === "active" ? active ?? maker : maker ?? active;
    const within = parent === undefined || parent === active
      ? here
      : trace.setSpanContext(here, parent);
    const links = made.filter((it) => !isSameSpan(it, parent)).map((context): Link => ({
      context,
    }));
    const options = { kind, attributes, links, root: isRoot };
    const span = this.#tracer.startSpan(name, options, within);
    return span.isRecording() ? { span, within: trace.setSpan(within, span) } : undefined;
  }
}

/** Does `work` in a span that has begun, if one is recorded, and ends it with `work`. */
export async function inSpan<T>(
  spanned: Spanned | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (spanned === undefined) return await work();
  let failure: { readonly error: unknown } | undefined;
  try {
    return await context.with(spanned.within, work);
  } catch (error) {
    failure = { error };
    throw error;
  } finally {
    endSpan(spanned.span, failure);
  }
}

/** Ends `span`, as failed if there is an error. */
export function endSpan(span: Span, failure?: { readonly error: unknown }): void {
  if (failure !== undefined) {
    const { error } = failure;
    span.setAttribute("error.type", errorType(error));
    span.setStatus({ code: SpanStatusCode.ERROR, message: textOf(error) });
  }
  span.end();
}

/** The name of an error in telemetry. */
export function errorType(error: unknown): string {
  return nameOf(error);
}

/** `span` as W3C trace context, for the metadata of events made in it. */
export function traceContextOf(span: Span): { traceparent: string; tracestate?: string } {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
  const tracestate = traceState?.serialize();
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

/** The distinct spans that the events' metadata names. Callers may have passed any value. */
function contextsOf(events: readonly Pick<Event, "metadata">[]): SpanContext[] {
  const found = new Map<string, SpanContext>();
  for (const event of events) {
    const traceparent = event?.metadata?.traceparent;
    if (typeof traceparent !== "string" || found.has(traceparent)) continue;
    const made = spanContextIn(traceparent);
    if (made !== undefined) found.set(traceparent, made);
    if (found.size === MAX_LINKS) break;
  }
  return [...found.values()];
}

/** The span that a `traceparent` names: version 00 of W3C trace context. */
function spanContextIn(traceparent: string): SpanContext | undefined {
  const parts = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent);
  if (parts === null) return undefined;
  const [, traceId, spanId, flags] = parts as unknown as [string, string, string, string];
  const sampled = parseInt(flags, 16) & TraceFlags.SAMPLED;
  const spanContext = { traceId, spanId, traceFlags: sampled, isRemote: true };
  return isSpanContextValid(spanContext) ? spanContext : undefined;
}

function isSameSpan(one: SpanContext, other: SpanContext | undefined): boolean {
  return one.traceId === other?.traceId && one.spanId === other.spanId;
}
