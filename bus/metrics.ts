/** How long events were on a node's bus: from publish or receipt to the subscriber, in ms. */
export interface BusLatency {
  /** Deliveries measured. */
  readonly count: number;
  /** Their sum. */
  readonly total: number;
  /** The longest. */
  readonly max: number;
}

/** What happened to the events of one type in one namespace. */
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

/** {@linkcode EventCounts} with what they belong to. */
export interface EventSeries extends EventCounts {
  /** The namespace; `""` in the series of all that came after the first 1,000 series. */
  readonly namespace: string;
  /** The type; `""` as with the namespace. */
  readonly eventType: string;
}

/** What went through a bus since it was made: in all, and by namespace and event type. */
export interface BusMetrics extends EventCounts {
  /** Subscriptions and handlers that have not ended. */
  readonly activeSubscriptions: number;
  /** Messages from elsewhere that were skipped, being no events of a bus. */
  readonly malformed: number;
  /** The same numbers apart, for at most 1,000 pairs of namespace and event type. */
  readonly series: readonly EventSeries[];
}

/** Pairs that are counted apart: names come from outside, memory is ours. */
const MAX_SERIES = 1000;

/** The numbers of one namespace and event type, as they grow. */
export class Counts {
  /** See {@linkcode EventCounts}; so for the next ones. */
  published = 0;
  received = 0;
  delivered = 0;
  dropped = 0;
  errors = 0;
  #total = 0;
  #max = 0;

  /** One more delivery, after `latency` ms on the bus. */
  deliver(latency: number): void {
    this.delivered++;
    this.#total += latency;
    if (latency > this.#max) this.#max = latency;
  }

  /** Adds the numbers of `other`. */
  add(other: Counts): void {
    this.published += other.published;
    this.received += other.received;
    this.delivered += other.delivered;
    this.dropped += other.dropped;
    this.errors += other.errors;
    this.#total += other.#total;
    this.#max = Math.max(this.#max, other.#max);
  }

  /** The numbers as they stand. */
  snapshot(): EventCounts {
    const { published, received, delivered, dropped, errors } = this;
    const latency = { count: delivered, total: this.#total, max: this.#max };
    return { published, received, delivered, dropped, errors, latency };
  }
}

/** Counts what goes through one bus. */
export class Meter {
  /** Subscriptions that have not ended. */
  active = 0;
  /** Messages that were skipped. */
  malformed = 0;
  readonly #series = new Map<string, Map<string, Counts>>();
  readonly #others = new Counts();
  #size = 0;

  /** The numbers to add to for an event of `eventType` in `namespace`. */
  of(namespace: string, eventType: string): Counts {
    const types = this.#series.get(namespace);
    const known = types?.get(eventType);
    if (known !== undefined) return known;
    if (this.#size >= MAX_SERIES) return this.#others;
    this.#size++;
    const counts = new Counts();
    if (types === undefined) this.#series.set(namespace, new Map([[eventType, counts]]));
    else types.set(eventType, counts);
    return counts;
  }

  /** All numbers as they stand. */
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
    const { active, malformed } = this;
    return { ...total.snapshot(), activeSubscriptions: active, malformed, series };
  }
}
