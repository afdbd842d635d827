import {
  type Attributes,
  type Counter,
  createNoopMeter,
  type Histogram,
  type Meter,
  metrics,
  type UpDownCounter,
} from "@opentelemetry/api";
import { SCOPE, SCOPE_VERSION } from "./scope.ts";

/** This library's meter; `undefined` if no metrics SDK is installed yet. */
export function installedMeter(): Meter | undefined {
  const meter = metrics.getMeter(SCOPE, SCOPE_VERSION);
  return meter === createNoopMeter() ? undefined : meter;
}

/** Attributes that identify a store in telemetry, by the names of the conventions. */
export interface StoreAttributes extends Attributes {
  /** `nats`, or `aether` in memory: the conventions have no name for either. */
  readonly "db.system.name": string;
  /** The store's namespace. */
  readonly "db.namespace": string;
  /** The JetStream stream. Not the category: ids without a `-` have one each, without bound. */
  readonly "db.collection.name"?: string;
}

/**
 * A store's OpenTelemetry instruments. Names and attributes that begin with `db.` are those of
 * the semantic conventions for database client metrics, version 1.44.0
 * (https://opentelemetry.io/docs/specs/semconv/db/database-metrics/), as is `error.type`, the name
 * of the error's class; names that the conventions lack begin with `aether.store.`. In their words
 * a save of several events is one operation on several operands, not a batch.
 */
export interface StoreInstruments {
  /** `db.client.operation.duration`, `s`: calls by `db.operation.name`, the method's. */
  readonly duration: Histogram;
  /** `db.client.response.returned_rows`, `{row}`: events that a read returned. */
  readonly returned: Histogram;
  /** `aether.store.saves`, `{save}`: saves that have ended, by `aether.save.outcome`. */
  readonly saves: Counter;
  /** `aether.store.active_saves`, `{save}`: saves that have not ended. */
  readonly activeSaves: UpDownCounter;
  /** `aether.store.saved.events`, `{event}`: events that were stored. */
  readonly saved: Counter;
  /** `aether.store.lookups`, `{lookup}`: lookups of latest versions, by `aether.lookup.cached`. */
  readonly lookups: Counter;
  /** `aether.store.subscriptions`, `{subscription}`: subscriptions that have not ended. */
  readonly subscriptions: UpDownCounter;
  /** `aether.store.delivered.events`, `{event}`: events that subscriptions yielded. */
  readonly delivered: Counter;
}

/**
 * The instruments of a store; `undefined` if no metrics SDK is installed, so that measuring costs
 * nothing then. Install the SDK before you make the store: until then the OpenTelemetry API hands
 * out meters that never have an effect.
 */
export function storeInstruments(): StoreInstruments | undefined {
  const meter = installedMeter();
  if (meter === undefined) return undefined;
  const counter = (name: string, unit: string, description: string): Counter =>
    meter.createCounter(name, { unit, description });
  const level = (name: string, unit: string, description: string): UpDownCounter =>
    meter.createUpDownCounter(name, { unit, description });
  const histogram = (
    name: string,
    unit: string,
    description: string,
    explicitBucketBoundaries: number[],
  ): Histogram =>
    meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries } });
  return {
    duration: histogram(
      "db.client.operation.duration",
      "s",
      "Duration of database client operations",
      [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
    ),
    returned: histogram(
      "db.client.response.returned_rows",
      "{row}",
      "Events that a read returned",
      [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000],
    ),
    saves: counter("aether.store.saves", "{save}", "Saves that have ended"),
    activeSaves: level("aether.store.active_saves", "{save}", "Saves that have not ended"),
    saved: counter("aether.store.saved.events", "{event}", "Events that were stored"),
    lookups: counter("aether.store.lookups", "{lookup}", "Lookups of latest versions"),
    subscriptions: level(
      "aether.store.subscriptions",
      "{subscription}",
      "Subscriptions that have not ended",
    ),
    delivered: counter(
      "aether.store.delivered.events",
      "{event}",
      "Events yielded by subscriptions",
    ),
  };
}
