import type { Attributes, Counter, Histogram, UpDownCounter } from "@opentelemetry/api";
import { installedMeter } from "../store/telemetry/instruments.ts";

/**
 * The bus's OpenTelemetry instruments. Names and attributes that begin with `messaging.` come from
 * the semantic conventions for messaging client metrics, version 1.44.0
 * (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/); those that have no
 * convention begin with `aether.bus.`.
 */
export interface BusInstruments {
  /** Attributes of every measurement. */
  readonly attributes: Attributes;
  /** `messaging.client.sent.messages`, `{message}`: events that were published. */
  readonly sent: Counter;
  /** `messaging.client.consumed.messages`, `{message}`: events that subscribers received. */
  readonly consumed: Counter;
  /** `messaging.process.duration`, `s`: calls of handlers, `error.type` for those that threw. */
  readonly process: Histogram;
  /** `aether.bus.received.messages`, `{message}`: events that came from other nodes. */
  readonly received: Counter;
  /** `aether.bus.dropped.messages`, `{message}`: events lost to full queues. */
  readonly dropped: Counter;
  /** `aether.bus.malformed.messages`, `{message}`: messages that are no events. */
  readonly malformed: Counter;
  /** `aether.bus.latency`, `s`: from publish or receipt to the subscriber, on one node. */
  readonly latency: Histogram;
  /** `aether.bus.subscriptions`, `{subscription}`: subscriptions that have not ended. */
  readonly subscriptions: UpDownCounter;
}

/**
 * The instruments of a bus whose `messaging.system` is `system`; `undefined` if no metrics SDK is
 * installed, so that measuring costs nothing then. Install the SDK before making the bus: the
 * meters that the OpenTelemetry API hands out before remain without effect.
 */
export function instrumentsOf(system: string): BusInstruments | undefined {
  const meter = installedMeter();
  if (meter === undefined) return undefined;
  const counter = (name: string, description: string): Counter =>
    meter.createCounter(name, { description, unit: "{message}" });
  const duration = (name: string, description: string): Histogram =>
    meter.createHistogram(name, {
      description,
      unit: "s",
      advice: {
        explicitBucketBoundaries: [
          ...[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1],
          ...[0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
        ],
      },
    });
  return {
    attributes: { "messaging.system": system },
    sent: counter("messaging.client.sent.messages", "Events that were published"),
    consumed: counter("messaging.client.consumed.messages", "Events given to subscribers"),
    process: duration("messaging.process.duration", "Duration of calls of handlers"),
    received: counter("aether.bus.received.messages", "Events that came from other nodes"),
    dropped: counter("aether.bus.dropped.messages", "Events lost to full queues"),
    malformed: counter("aether.bus.malformed.messages", "Messages that are no events of a bus"),
    latency: duration("aether.bus.latency", "From publish or receipt to the subscriber"),
    subscriptions: meter.createUpDownCounter("aether.bus.subscriptions", {
      description: "Subscriptions that have not ended",
      unit: "{subscription}",
    }),
  };
}
