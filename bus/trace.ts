import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  type ProxyTracerProvider,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import type { Event } from "../store/event.ts";
import { SCOPE } from "./telemetry.ts";

/**
 * Spans of the bus, after the semantic conventions for messaging spans, version 1.37.0
 * (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/): `publish <namespace>`
 * (kind producer) for each publish, `process <namespace>` (kind consumer) for each call of a
 * handler. They are joined by W3C trace context in the event's metadata, so that they are one
 * trace over all nodes.
 */
export class BusTracer {
  readonly #tracer: Tracer = trace.getTracer(SCOPE);
  readonly #system: string;
  #recording = false;

  /** `system` is the `messaging.system` of the spans. */
  constructor(system: string) {
    this.#system = system;
  }

  /**
   * Begins the span of a publish: under the active span, else under the one that made the event.
   * `undefined` where nothing records it.
   */
  publishing(namespace: string, event: Event): Span | undefined {
    if (!this.#installed() || typeof event !== "object" || event === null) return undefined;
    const made = remoteContext(event);
    const active = trace.getSpan(context.active())?.spanContext();
    const parent = active === undefined && made !== undefined
      ? trace.setSpanContext(context.active(), made)
      : context.active();
    const span = this.#tracer.startSpan(`publish ${namespace}`, {
      kind: SpanKind.PRODUCER,
      attributes: this.#attributes("publish", "send", namespace, event),
      links: active !== undefined && made !== undefined ? [{ context: made }] : [],
    }, parent);
    return span.isRecording() ? span : undefined;
  }

  /** Begins the span of a handler's call, under the event's; gives the context to call it in. */
  processing(namespace: string, event: Event): { span: Span; within: Context } | undefined {
    if (!this.#installed()) return undefined;
    const made = remoteContext(event);
    const parent = made === undefined
      ? context.active()
      : trace.setSpanContext(context.active(), made);
    const span = this.#tracer.startSpan(`process ${namespace}`, {
      kind: SpanKind.CONSUMER,
      attributes: this.#attributes("process", "process", namespace, event),
    }, parent);
    return span.isRecording() ? { span, within: trace.setSpan(parent, span) } : undefined;
  }

  /** Whether a tracing SDK is there by now: without one, nothing but this check is done. */
  #installed(): boolean {
    if (this.#recording) return true;
    const provider = trace.getTracerProvider() as Partial<ProxyTracerProvider>;
    const absent = provider.getDelegateTracer !== undefined &&
      provider.getDelegateTracer(SCOPE) === undefined;
    return this.#recording = !absent;
  }

  #attributes(name: string, type: string, namespace: string, event: Event): Attributes {
    return {
      "messaging.system": this.#system,
      "messaging.operation.name": name,
      "messaging.operation.type": type,
      "messaging.destination.name": namespace,
      "messaging.message.id": event.id,
      "aether.event.type": event.eventType,
      "aether.actor.id": event.actorId,
    };
  }
}

/** The event with the context of `span` in its metadata, unless it has one of its own. */
export function withTrace(event: Event, span: Span): Event {
  if (event.metadata?.traceparent !== undefined) return event;
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const flags = traceFlags.toString(16).padStart(2, "0");
  const traceparent = `00-${traceId}-${spanId}-${flags}`;
  const tracestate = traceState?.serialize();
  const state = tracestate ? { tracestate } : {};
  return { ...event, metadata: { ...event.metadata, traceparent, ...state } };
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

/** The span that an event's `traceparent` names: version 00 of W3C trace context. */
function remoteContext(event: Event): SpanContext | undefined {
  const traceparent = event.metadata?.traceparent;
  if (typeof traceparent !== "string") return undefined;
  const parts = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent);
  if (parts === null) return undefined;
  const [, traceId, spanId, flags] = parts as unknown as [string, string, string, string];
  const sampled = parseInt(flags, 16) & TraceFlags.SAMPLED;
  const spanContext = { traceId, spanId, traceFlags: sampled, isRemote: true };
  return isSpanContextValid(spanContext) ? spanContext : undefined;
}
