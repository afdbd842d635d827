import {
  type Attributes,
  context,
  type Counter,
  type Histogram,
  SpanKind,
} from "@opentelemetry/api";
import type { RecordedEvent } from "../event.ts";
import type { EventFacts } from "./arrival.ts";
import type { PartitionId } from "./state.ts";
import { installedMeter } from "../telemetry/instruments.ts";
import { endSpan, errorType, type Spanned, Spans } from "../telemetry/spans.ts";

/** Counts of a projection's work in this process; see {@linkcode Projection.metrics}. */
export interface ProjectionMetrics {
  /** Calls of the handler that succeeded; those in a transaction that was rolled back count too. */
  readonly handled: number;
  /** Calls of the handler that threw. */
  readonly failed: number;
  /** Events that were parked as the first of their actor. */
  readonly parked: number;
  /** Duration of all calls that succeeded, in ms. */
  readonly duration: number;
}

/**
 * How the span of an event's handling is joined to the span that made the event: as its child, in one
 * trace; by a link from a trace of its own, for read models that are built anew long after; or no
 * span at all.
 */
export type HandlingTrace = "child" | "link" | "off";

/** The instruments of projections. */
interface ProjectionInstruments {
  /** `aether.projection.duration`, `s`: calls of handlers, `error.type` for those that threw. */
  readonly duration: Histogram;
  /** `aether.projection.parked.events`, `{event}`: events that were parked as the first of their actor. */
  readonly parked: Counter;
}

/**
 * Watches the handler of one projection. If OpenTelemetry's SDKs are installed, it measures each
 * call and gives it a span `project <name>` (kind consumer), joined to the span that made the event, by
 * `traceparent` in its metadata.
 */
export class ProjectionMonitor {
  readonly #name: string;
  readonly #trace: HandlingTrace;
  readonly #spans = new Spans();
  readonly #instruments: ProjectionInstruments | undefined = instruments();
  #handled = 0;
  #failed = 0;
  #parked = 0;
  #duration = 0;

  /** Begins at zero. */
  constructor(name: string, trace: HandlingTrace) {
    this.#name = name;
    this.#trace = trace;
  }

  /** The current numbers. */
  snapshot(): ProjectionMetrics {
    const duration = this.#duration;
    return { handled: this.#handled, failed: this.#failed, parked: this.#parked, duration };
  }

  /** Watches a call of the handler, which `work` makes. */
  async handle(
    event: RecordedEvent,
    partitionId: PartitionId,
    work: () => void | Promise<void>,
  ): Promise<void> {
    const isTraced = this.#trace !== "off" && this.#spans.installed;
    const spanned = isTraced ? this.#span(event, partitionId) : undefined;
    // Before the call: the handler may change the event.
    const attributes = this.#instruments && this.#attributes(event);
    const begun = performance.now();
    let failure: { readonly error: unknown } | undefined;
    try {
      await (spanned === undefined ? work() : context.with(spanned.within, work));
    } catch (error) {
      failure = { error };
      throw error;
    } finally {
      const took = performance.now() - begun;
      if (failure === undefined) {
        this.#handled++;
        this.#duration += took;
      } else this.#failed++;
      const type = failure && { "error.type": errorType(failure.error) };
      this.#instruments?.duration.record(took / 1000, { ...attributes, ...type });
      if (spanned !== undefined) endSpan(spanned.span, failure);
    }
  }

  /** An event was parked as the first of its actor. */
  park(event: EventFacts): void {
    this.#parked++;
    this.#instruments?.parked.add(1, this.#attributes(event));
  }

  #span(event: RecordedEvent, { version, partition }: PartitionId): Spanned | undefined {
    return this.#spans.begin({
      name: `project ${this.#name}`,
      kind: SpanKind.CONSUMER,
      attributes: {
        ...this.#attributes(event),
        "aether.actor.id": event.actorId,
        "aether.event.sequence": event.sequence,
        "aether.projection.version": version,
        "aether.projection.partition": partition,
      },
      events: [event],
      under: this.#trace === "link" ? "none" : "event",
    });
  }

  #attributes({ eventType }: Pick<EventFacts, "eventType">): Attributes {
    return { "aether.projection.name": this.#name, "aether.event.type": eventType };
  }
}

/** `undefined` if no metrics SDK is installed: measuring costs nothing then. */
function instruments(): ProjectionInstruments | undefined {
  const meter = installedMeter();
  return meter && {
    duration: meter.createHistogram("aether.projection.duration", {
      unit: "s",
      description: "Duration of calls of projections' handlers",
      advice: {
        explicitBucketBoundaries: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
      },
    }),
    parked: meter.createCounter("aether.projection.parked.events", {
      unit: "{event}",
      description: "Events that were parked as the first of their actor",
    }),
  };
}
