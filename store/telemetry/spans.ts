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

/** The name of this library's meters and tracers. */
export const SCOPE = "@flowmade-one/aether";

/** Links that a span takes at most, as OpenTelemetry's SDKs do by default. */
const MAX_LINKS = 128;

/** A span that has begun, and the context to do its work in. */
export interface Spanned {
  readonly span: Span;
  readonly within: Context;
}

/** What a span is begun with. */
export interface SpanInit {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  /** What it is about: the trace contexts in the metadata of these join it to who made them. */
  readonly events: readonly Pick<Event, "metadata">[];
  /**
   * What it is under: the active span, as where events are made and passed on, or the one that
   * made the first of the events, as where they are handled. Where the one is not, the other.
   */
  readonly under: "active" | "event";
}

/**
 * Begins this library's spans, joined over processes by W3C trace context in the metadata of
 * events. Without an SDK of OpenTelemetry it does nothing but look whether there is one by now.
 */
export class Spans {
  readonly #tracer: Tracer = trace.getTracer(SCOPE);
  #installed = false;

  /** Whether a tracing SDK is there by now. Look here before you gather what a span needs. */
  get installed(): boolean {
    if (this.#installed) return true;
    const provider = trace.getTracerProvider() as Partial<ProxyTracerProvider>;
    const absent = provider.getDelegateTracer !== undefined &&
      provider.getDelegateTracer(SCOPE) === undefined;
    return this.#installed = !absent;
  }

  /** Begins a span; `undefined` where nothing records it. */
  begin({ name, kind, attributes, events, under }: SpanInit): Spanned | undefined {
    const here = context.active();
    const active = trace.getSpanContext(here);
    const made = contextsOf(events);
    // Among several that made them none is the parent: then all are linked.
    const maker = under === "event" || made.length === 1 ? made[0] : undefined;
    const parent = under === "active" ? active ?? maker : maker ?? active;
    const within = parent === undefined || parent === active
      ? here
      : trace.setSpanContext(here, parent);
    const links = made.filter((it) => !isSameSpan(it, parent)).map((context): Link => ({
      context,
    }));
    const span = this.#tracer.startSpan(name, { kind, attributes, links }, within);
    return span.isRecording() ? { span, within: trace.setSpan(within, span) } : undefined;
  }
}

/** Ends `span`, as failed where there is an error. */
export function endSpan(span: Span, failure?: { readonly error: unknown }): void {
  if (failure !== undefined) {
    const { error } = failure;
    span.setAttribute("error.type", errorType(error));
    span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
  }
  span.end();
}

/** What telemetry calls an error: its name. */
export function errorType(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** `span` as W3C trace context, for the metadata of what is made in it. */
export function traceContextOf(span: Span): { traceparent: string; tracestate?: string } {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
  const tracestate = traceState?.serialize();
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

/** The different spans that the events' metadata names. Callers may have passed anything. */
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
