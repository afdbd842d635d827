import { type Attributes, type Span, SpanKind } from "@opentelemetry/api";
import type { Event } from "../store/event.ts";
import { type Spanned, Spans, traceContextOf } from "../store/telemetry/spans.ts";

/**
 * Spans of the bus, after the semantic conventions for messaging spans, version 1.44.0
 * (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/): `publish <namespace>`
 * (kind producer) for each publish, `process <namespace>` (kind consumer) for each call of a
 * handler. They are joined by W3C trace context in the event's metadata, so that they are one
 * trace over all nodes.
 */
export class BusTracer {
  readonly #spans = new Spans();
  readonly #system: string;

  /** `system` is the `messaging.system` of the spans. */
  constructor(system: string) {
    this.#system = system;
  }

  /**
   * Begins the span of a publish: under the active span, else under the one that made the event.
   * `undefined` if nothing records it.
   */
  publishing(namespace: string, event: Event): Span | undefined {
    if (!this.#spans.installed || typeof event !== "object" || event === null) return undefined;
    return this.#spans.begin({
      name: `publish ${namespace}`,
      kind: SpanKind.PRODUCER,
      attributes: this.#attributes("publish", "send", namespace, event),
      events: [event],
      under: "active",
    })?.span;
  }

  /** Begins the span of a handler's call, under the event's; returns the context to call it in. */
  processing(namespace: string, event: Event): Spanned | undefined {
    if (!this.#spans.installed) return undefined;
    return this.#spans.begin({
      name: `process ${namespace}`,
      kind: SpanKind.CONSUMER,
      attributes: this.#attributes("process", "process", namespace, event),
      events: [event],
      under: "event",
    });
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
  return { ...event, metadata: { ...event.metadata, ...traceContextOf(span) } };
}
