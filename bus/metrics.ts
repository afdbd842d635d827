import type { Attributes } from "@opentelemetry/api";
import { type BusInstruments, instrumentsOf } from "./telemetry.ts";
import { errorType } from "../store/telemetry/spans.ts";

/** How long events were on a node's bus: from publish or receipt to the subscriber, in ms. */
export interface BusLatency {
  /** Deliveries measured. */
  readonly count: number;
  /** Their sum. */
  readonly total: number;
  /** The longest. */
  readonly max: number;
}

/** Counts for the events of one type in one namespace. */
export interface EventCounts {
  /** Published by this bus. */
  readonly published: number;
  /** Received from other nodes. */
  readonly received: number;
  /** Handed to subscribers: an event with three subscribers counts three times. */
  readonly delivered: number;
  /** Lost to full queues, counted for each subscriber. */
  readonly dropped: number;
  /** Calls of handlers that threw. */
  readonly errors: number;
  /** Time on the bus. */
  readonly latency: BusLatency;
}

/** {@linkcode EventCounts} with their namespace and type. */
export interface EventSeries extends EventCounts {
  /** The namespace; `""` in the series of all that came after the first 1,000 series. */
  readonly namespace: string;
  /** The type; `""` as with the namespace. */
  readonly eventType: string;
}

/** The counts of a bus since it was made: in all, and by namespace and event type. */
export interface BusMetrics extends EventCounts {
  /** Subscriptions and handlers that have not ended. */
  readonly activeSubscriptions: number;
  /** Messages from elsewhere that were skipped, as they are no events of a bus. */
  readonly malformed: number;
  /** The same numbers by namespace and event type, for at most 1,000 pairs. */
  readonly series: readonly EventSeries[];
}

/** How many pairs are counted separately: names come from outside, memory is limited. */
const MAX_SERIES = 1000;

/** The growing numbers of one namespace and event type, passed on to the instruments as well. */
export class Counts {
  readonly #instruments: BusInstruments | undefined;
  readonly #sending: Attributes;
  readonly #processing: Attributes;
  #published = 0;
  #received = 0;
  #delivered = 0;
  #dropped = 0;
  #errors = 0;
  #total = 0;
  #max = 0;

  /** Begins at zero. `attributes` go with each measurement. */
  constructor(instruments?: BusInstruments, attributes: Attributes = {}) {
    this.#instruments = instruments;
    const all = { ...instruments?.attributes, ...attributes };
    this.#sending = { ...all, "messaging.operation.name": "publish" };
    this.#processing = { ...all, "messaging.operation.name": "process" };
  }

  /** One more was published. */
  publish(): void {
    this.#published++;
    this.#instruments?.sent.add(1, this.#sending);
  }

  /** One more came from another node. */
  receive(): void {
    this.#received++;
    this.#instruments?.received.add(1, this.#processing);
  }

  /** One more was delivered, that came at `since`. */
  deliver(since: number): void {
    const latency = performance.now() - since;
    this.#delivered++;
    this.#total += latency;
    if (latency > this.#max) this.#max = latency;
    this.#instruments?.consumed.add(1, this.#processing);
    this.#instruments?.latency.record(latency / 1000, this.#processing);
  }

  /** One more was lost to a full queue. */
  drop(): void {
    this.#dropped++;
    this.#instruments?.dropped.add(1, this.#processing);
  }

  /** The server has refused a publish. */
  refuse(): void {
    this.#errors++;
  }

  /** A handler was called at `begun`, and threw if there is a `failure`. */
  handle(begun: number, failure?: { readonly error: unknown }): void {
    if (failure !== undefined) this.#errors++;
    if (this.#instruments === undefined) return;
    const type = failure === undefined ? {} : { "error.type": errorType(failure.error) };
    const seconds = (performance.now() - begun) / 1000;
    this.#instruments.process.record(seconds, { ...this.#processing, ...type });
  }

  /** Adds the numbers of `other`. */
  add(other: Counts): void {
    this.#published += other.#published;
    this.#received += other.#received;
    this.#delivered += other.#delivered;
    this.#dropped += other.#dropped;
    this.#errors += other.#errors;
    this.#total += other.#total;
    this.#max = Math.max(this.#max, other.#max);
  }

  /** The present numbers. */
  snapshot(): EventCounts {
    return {
      published: this.#published,
      received: this.#received,
      delivered: this.#delivered,
      dropped: this.#dropped,
      errors: this.#errors,
      latency: { count: this.#delivered, total: this.#total, max: this.#max },
    };
  }
}

/** Counts what goes through one bus. */
export class Meter {
  readonly #instruments: BusInstruments | undefined;
  readonly #series = new Map<string, Map<string, Counts>>();
  readonly #others: Counts;
  #size = 0;
  #active = 0;
  #malformed = 0;

  /** Measures with OpenTelemetry too, if its SDK is installed. */
  constructor(system: string) {
    this.#instruments = instrumentsOf(system);
    this.#others = new Counts(this.#instruments);
  }

  /** A subscription began (1) or ended (-1). */
  subscriptions(change: 1 | -1): void {
    this.#active += change;
    this.#instruments?.subscriptions.add(change, this.#instruments.attributes);
  }

  /** A message was skipped. */
  skip(): void {
    this.#malformed++;
    this.#instruments?.malformed.add(1, this.#instruments.attributes);
  }

  /** The numbers to add to for an event of `eventType` in `namespace`. */
  of(namespace: string, eventType: string): Counts {
    const types = this.#series.get(namespace);
    const known = types?.get(eventType);
    if (known !== undefined) return known;
    if (this.#size >= MAX_SERIES) return this.#others;
    this.#size++;
    const counts = new Counts(this.#instruments, {
      "messaging.destination.name": namespace,
      "aether.event.type": eventType,
    });
    if (types === undefined) this.#series.set(namespace, new Map([[eventType, counts]]));
    else types.set(eventType, counts);
    return counts;
  }

  /** All present numbers. */
  snapshot(): BusMetrics {
    const total = new Counts();
    const series: EventSeries[] = [];
    const add = (namespace: string, eventType: string, counts: Counts): void => {
      total.add(counts);
      series.push({ namespace, eventType, ...counts.snapshot() });
    };
    for (const [namespace, types] of this.#series) {
      for (const [eventType, counts] of types) add(namespace, eventType, counts);
    }
    if (this.#size >= MAX_SERIES) add("", "", this.#others);
    return {
      ...total.snapshot(),
      activeSubscriptions: this.#active,
      malformed: this.#malformed,
      series,
    };
  }
}
