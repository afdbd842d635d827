/** The outcome of one run that keeps time itself. */
export interface Run {
  /** How long it took, in ms. */
  readonly ms: number;
  /** How long each of its operations took, in ms. */
  readonly each?: readonly number[];
}

/** One way to do the work of a comparison. */
export interface Way {
  /** Its name, short. */
  readonly name: string;
  /** Operations in one run. @default {1} */
  readonly ops?: number;
  /** The most runs of it: for a slow one. @default {no bound} */
  readonly most?: number;
  /** Does the work once; gives the time if not all of it counts. */
  readonly run: () => Promise<Run | number | void>;
}

/** Times in ms. */
export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
}

/** The figures of one way. */
export interface Figures {
  readonly name: string;
  /** Operations in one run. */
  readonly ops: number;
  /** Runs that were measured. */
  readonly runs: number;
  /** Times of one run. */
  readonly run: Spread;
  /** Times of single operations: those that were measured, else those of runs of one operation. */
  readonly each: Spread | undefined;
  /** Operations a second, by the median run. */
  readonly perSecond: number;
  /** How many times as fast as the baseline it is, by medians; with quartiles over the rounds. */
  readonly speed: { readonly p50: number; readonly p25: number; readonly p75: number } | undefined;
}

/** How long a comparison goes on. */
export interface Effort {
  /** How long the rounds of one comparison go on, in ms; 0 for one round without warm-up. */
  readonly budget: number;
}

/** Rounds at least, and rounds that are not counted. */
const LEAST = 10;
const WARM_UP = 3;

interface Samples {
  readonly way: Way;
  readonly runs: number[];
  readonly each: number[];
}

/**
 * Runs the ways by turns, each once in a round and every second round backwards, so that whatever
 * else the machine does falls on all of them alike. The first way is the baseline.
 */
export async function compare(ways: readonly Way[], { budget }: Effort): Promise<Figures[]> {
  const all: Samples[] = ways.map((way) => ({ way, runs: [], each: [] }));
  const backwards = all.toReversed();
  const [warmUp, least] = budget > 0 ? [WARM_UP, LEAST] : [0, 1];
  let end = Infinity;
  for (let round = -warmUp; round < least || performance.now() < end; round++) {
    if (round === 0) end = performance.now() + budget;
    for (const samples of round % 2 === 0 ? all : backwards) {
      if (samples.runs.length >= (samples.way.most ?? Infinity)) continue;
      const { ms, each = [] } = await timed(samples.way);
      if (round < 0 && samples.way.most === undefined) continue;
      samples.runs.push(ms);
      for (const time of each) samples.each.push(time);
    }
    const isDone = all.every(({ way, runs }) => runs.length >= (way.most ?? Infinity));
    if (isDone || (round >= 0 && performance.now() > end + 10 * budget)) break;
  }
  return all.map((samples, at) => figuresOf(samples, at === 0 ? undefined : all[0]!));
}

async function timed(way: Way): Promise<Run> {
  const begun = performance.now();
  const result = await way.run();
  if (typeof result === "object") return result;
  return { ms: typeof result === "number" ? result : performance.now() - begun };
}

function figuresOf({ way, runs, each }: Samples, baseline: Samples | undefined): Figures {
  const { name, ops = 1 } = way;
  const run = spreadOf(runs);
  const single = each.length > 0 ? spreadOf(each) : ops === 1 ? run : undefined;
  const perSecond = ops / run.p50 * 1000;
  return { name, ops, runs: runs.length, run, each: single, perSecond, speed: speed() };

  function speed(): Figures["speed"] {
    if (baseline === undefined) return undefined;
    const scale = ops / (baseline.way.ops ?? 1);
    const rounds = runs
      .slice(0, baseline.runs.length)
      .map((ms, at) => baseline.runs[at]! / ms * scale);
    const p50 = spreadOf(baseline.runs).p50 / run.p50 * scale;
    return { p50, p25: quantile(rounds, 0.25), p75: quantile(rounds, 0.75) };
  }
}

/** The spread of some times. */
export function spreadOf(times: readonly number[]): Spread {
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), slowest: quantile(times, 1) };
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/** Does `work` for each of `items`, so many at once, and keeps the time of each. */
export async function inFlight<T>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<unknown>,
): Promise<Run> {
  const left = items.values();
  const each: number[] = [];
  const worker = async () => {
    for (const item of left) {
      const begun = performance.now();
      await work(item);
      each.push(performance.now() - begun);
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: most }, worker));
  return { ms: performance.now() - begun, each };
}
