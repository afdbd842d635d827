import { type Attributes, type BatchObservableCallback, diag } from "@opentelemetry/api";
import { sleep } from "../base/sleep.ts";
import { installedMeter } from "./instruments.ts";

/** How long a look may hold up a collection, and the end, in ms. */
const PATIENCE = 5_000;

/** A gauge, as it is made. */
export interface GaugeInit {
  /** Its unit, such as `s` or `{actor}`. */
  readonly unit: string;
  /** Its description. */
  readonly description: string;
}

/** A value that a gauge shows now. */
export interface GaugeValue<Name extends string> {
  /** Which gauge. */
  readonly gauge: Name;
  readonly value: number;
  readonly attributes: Attributes;
}

/**
 * Makes gauges, by name, and calls `look` whenever the SDK collects; one look serves all that collect
 * while it is under way. Values that cannot be had within 5 s are left out, and OpenTelemetry's `diag`
 * says why. Gives the function that ends this, which aborts a look: at the next collection
 * the gauges show 0, because the SDK would go on with their last values. Without a metrics SDK it does
 * nothing.
 */
export function watchGauges<Name extends string>(
  gauges: Readonly<Record<Name, GaugeInit>>,
  look: (signal: AbortSignal) => Promise<readonly GaugeValue<Name>[]>,
): () => Promise<void> {
  const meter = installedMeter();
  if (meter === undefined) return () => Promise.resolve();
  const names = Object.keys(gauges) as Name[];
  const made = new Map(
    names.map((name) => [name, meter.createObservableGauge(name, gauges[name])]),
  );
  const all = [...made.values()];
  const stop = new AbortController();
  let last: readonly GaugeValue<Name>[] = [];
  let looking: Promise<readonly GaugeValue<Name>[]> | undefined;
  const warn = (why: unknown) => diag.warn(`Cannot look up ${names.join(", ")}:`, why);
  const lookOnce = async (): Promise<readonly GaugeValue<Name>[]> => {
    try {
      return last = await look(stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) warn(error);
      return [];
    } finally {
      looking = undefined;
    }
  };
  /** A checkpoint store may answer only when a handler's transaction is over. */
  const lookInTime = async (): Promise<readonly GaugeValue<Name>[]> => {
    const over = new AbortController();
    const late = sleep(PATIENCE, over.signal).then(() => undefined);
    const values = await Promise.race([looking ??= lookOnce(), late]);
    over.abort();
    if (values === undefined) warn(`no answer within ${PATIENCE} ms`);
    return values ?? [];
  };
  const observe: BatchObservableCallback = async (result) => {
    const isOver = stop.signal.aborted;
    if (isOver) meter.removeBatchObservableCallback(observe, all);
    for (const { gauge, value, attributes } of isOver ? last : await lookInTime()) {
      result.observe(made.get(gauge)!, isOver ? 0 : value, attributes);
    }
  };
  meter.addBatchObservableCallback(observe, all);
  return async () => {
    stop.abort();
    if (looking !== undefined) await lookInTime();
    if (last.length === 0) meter.removeBatchObservableCallback(observe, all);
  };
}
