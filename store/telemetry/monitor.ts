import { type Attributes, context, SpanKind } from "@opentelemetry/api";
import type { Event } from "../event.ts";
import type { SaveReceipt } from "../options.ts";
import { type StoreAttributes, type StoreInstruments, storeInstruments } from "./instruments.ts";
import {
  addTo,
  failedSaveOutcome,
  noCounts,
  type SaveCounts,
  snapshotOf,
  type StoreCounts,
  type StoreMetrics,
} from "./metrics.ts";
import { endSpan, errorType, type Spanned, Spans } from "./spans.ts";

/** A method of a store, as telemetry calls it. */
type Operation = "saveEvents" | LookupOperation | ReadOperation;

/** A method that looks latest versions up. */
export type LookupOperation = "getLatestVersion" | "getLatestVersions";

/** A method that reads events. */
export type ReadOperation =
  | "getEvents"
  | "getEventsOf"
  | "getEventsWithErrors"
  | "readEvents"
  | "readAll";

/** Why a call failed. */
interface Failure {
  readonly error: unknown;
}

/** A call under way. */
interface Call {
  readonly operation: Operation;
  /** When it began, by `performance.now()`. */
  readonly begun: number;
  /** Its span, if one is recorded. */
  readonly spanned: Spanned | undefined;
}

/**
 * Watches the calls of one store: counts them for `store.metrics` and, if OpenTelemetry's SDKs
 * are installed, measures and traces them. Without the SDKs, a call costs two looks at the clock
 * and some additions, and a cached lookup one addition.
 *
 * Spans follow the semantic conventions for database client spans, version 1.44.0
 * (https://opentelemetry.io/docs/specs/semconv/db/database-spans/): `saveEvents <collection>`,
 * kind client; `saveEvents <namespace>`, kind internal, in memory. The parent of a save's span is
 * the active span, else the span that its events' `traceparent` names; the save is linked to all
 * others that they name. The parent of a read's span is the active span when the read begins.
 */
export class StoreMonitor {
  readonly #counts: StoreCounts = noCounts();
  readonly #instruments: StoreInstruments | undefined = storeInstruments();
  readonly #spans = new Spans();
  readonly #attributes: StoreAttributes;

  /** Begins at zero; `attributes` go with all telemetry. */
  constructor(attributes: StoreAttributes) {
    this.#attributes = attributes;
  }

  /** The current numbers; see {@linkcode StoreMetrics}. */
  snapshot(): StoreMetrics {
    return snapshotOf(this.#counts);
  }

  /**
   * Watches a save, which `work` begins; `work` receives the time, because reading the clock is most
   * of the cost. `events` are as the caller gave them, unchecked.
   */
  save(
    events: readonly Event[],
    work: (begun: number) => Promise<SaveReceipt>,
  ): Promise<SaveReceipt> {
    const size = events?.length;
    const call = this.#begin("saveEvents", undefined, events);
    const { begun, spanned } = call;
    this.#counts.activeSaves++;
    this.#instruments?.activeSaves.add(1, this.#attributes);
    const done = spanned === undefined
      ? work(begun)
      : context.with(spanned.within, work, undefined, begun);
    return done.then((receipt) => {
      addTo(this.#counts.saveLatency, performance.now() - begun);
      if (!receipt.duplicate) this.#stored(size);
      this.#saved(call, receipt.duplicate ? "duplicate" : "saved");
      return receipt;
    }, (error) => {
      this.#saved(call, failedSaveOutcome(error), { error });
      throw error;
    });
  }

  /** Watches a read that `work` does as a whole; `work` notes how many events it returns. */
  async read<T>(
    operation: ReadOperation,
    actorId: string | undefined,
    work: (reading: Reading) => Promise<T>,
  ): Promise<T> {
    const reading = this.reading(operation, actorId);
    try {
      return await work(reading);
    } catch (error) {
      throw reading.failed(error);
    } finally {
      reading.end();
    }
  }

  /** Begins to watch an iteration: note its events and its failure, and end it in all cases. */
  reading(operation: ReadOperation, actorId?: string): Reading {
    const call = this.#begin(operation, actorId);
    return new Reading((events, failure) => this.#readEnded(call, events, failure));
  }

  /** The store answered a lookup of the latest versions of `actors` actors from memory. */
  hit(actors = 1): void {
    this.#counts.lookups.cached += actors;
    if (this.#instruments !== undefined) this.#lookedUp(actors, true);
  }

  /** Watches a lookup of one actor that is not answered from memory. */
  lookUp(actorId: string, work: () => Promise<number>): Promise<number> {
    return this.#lookUp(this.#begin("getLatestVersion", actorId), 1, work);
  }

  /** Watches a lookup of several actors that are not answered from memory. */
  lookUpMany(actors: number, work: () => Promise<void>): Promise<void> {
    return this.#lookUp(this.#begin("getLatestVersions"), actors, work);
  }

  async #lookUp<T>(call: Call, actors: number, work: () => Promise<T>): Promise<T> {
    const { lookups, lookupLatency } = this.#counts;
    let failure: Failure | undefined;
    try {
      const result = await work();
      lookups.uncached += actors;
      addTo(lookupLatency, performance.now() - call.begun);
      return result;
    } catch (error) {
      lookups.failed += actors;
      failure = { error };
      throw error;
    } finally {
      this.#lookedUp(actors, false, failure);
      this.#end(call, failure);
    }
  }

  /** A subscription began (1) or ended (-1). */
  subscriptions(change: 1 | -1): void {
    this.#counts.activeSubscriptions += change;
    this.#instruments?.subscriptions.add(change, this.#attributes);
  }

  /** A subscription yielded an event. */
  deliver(): void {
    this.#counts.eventsDelivered++;
    this.#instruments?.delivered.add(1, this.#attributes);
  }

  #begin(operation: Operation, actorId?: string, events: readonly Event[] = []): Call {
    const spanned = this.#spans.installed ? this.#span(operation, actorId, events) : undefined;
    return { operation, begun: performance.now(), spanned };
  }

  #span(
    operation: Operation,
    actorId: string | undefined,
    events: readonly Event[],
  ): Spanned | undefined {
    const { "db.collection.name": collection, "db.namespace": namespace } = this.#attributes;
    const given = Array.isArray(events) ? events : [];
    const actors = new Set(given.map((event) => event?.actorId));
    const actor = actors.size === 1 ? given[0]?.actorId : actorId;
    return this.#spans.begin({
      name: `${operation} ${collection ?? namespace}`,
      kind: collection === undefined ? SpanKind.INTERNAL : SpanKind.CLIENT,
      attributes: {
        ...this.#attributesOf(operation),
        ...(typeof actor === "string" ? { "aether.actor.id": actor } : {}),
        ...(operation === "saveEvents" ? { "aether.event.count": given.length } : {}),
      },
      events: given,
      under: "active",
    });
  }

  #stored(size: number): void {
    this.#counts.eventsSaved += size;
    if (size > 1) this.#counts.batches++;
    this.#instruments?.saved.add(size, this.#attributes);
  }

  #saved(call: Call, outcome: keyof SaveCounts, failure?: Failure): void {
    this.#counts.saves[outcome]++;
    this.#counts.activeSaves--;
    if (this.#instruments !== undefined) {
      this.#instruments.activeSaves.add(-1, this.#attributes);
      this.#instruments.saves.add(1, { ...this.#attributes, "aether.save.outcome": outcome });
    }
    call.spanned?.span.setAttribute("aether.save.outcome", outcome);
    this.#end(call, failure);
  }

  #readEnded(call: Call, events: number, failure: Failure | undefined): void {
    const counts = this.#counts;
    counts.eventsRead += events;
    if (failure !== undefined) counts.readErrors++;
    else {
      counts.reads++;
      const whole = call.operation === "getEvents" || call.operation === "getEventsWithErrors";
      if (whole) addTo(counts.readLatency, performance.now() - call.begun);
    }
    this.#instruments?.returned.record(events, this.#attributesOf(call.operation, failure));
    call.spanned?.span.setAttribute("aether.event.count", events);
    this.#end(call, failure);
  }

  #lookedUp(actors: number, cached: boolean, failure?: Failure): void {
    this.#instruments?.lookups.add(actors, {
      ...this.#attributes,
      "aether.lookup.cached": cached,
      ...errorIn(failure),
    });
  }

  #end({ operation, begun, spanned }: Call, failure: Failure | undefined): void {
    if (this.#instruments !== undefined) {
      const seconds = (performance.now() - begun) / 1000;
      this.#instruments.duration.record(seconds, this.#attributesOf(operation, failure));
    }
    if (spanned !== undefined) endSpan(spanned.span, failure);
  }

  #attributesOf(operation: Operation, failure?: Failure): Attributes {
    return { ...this.#attributes, "db.operation.name": operation, ...errorIn(failure) };
  }
}

/** A read under way. */
export class Reading {
  /** Events that it has returned so far. */
  events = 0;
  readonly #ended: (events: number, failure: Failure | undefined) => void;
  #failure: Failure | undefined;

  /** Calls `ended` when it is over. */
  constructor(ended: (events: number, failure: Failure | undefined) => void) {
    this.#ended = ended;
  }

  /** Notes why it fails; returns the error to throw. */
  failed(error: unknown): unknown {
    this.#failure = { error };
    return error;
  }

  /** Ends it: unless it has failed, it came to its end or its reader left. */
  end(): void {
    this.#ended(this.events, this.#failure);
  }
}

function errorIn(failure: Failure | undefined): Attributes {
  return failure === undefined ? {} : { "error.type": errorType(failure.error) };
}
