import { compare, type Figures, type Way } from "./measure.ts";

/** One comparison: figures of several ways to do the same work. */
export interface Comparison {
  /** The work. */
  readonly work: string;
  /** Its place on the axis of a chart, for example the number of events. */
  readonly x?: number;
  /** The first one is the baseline, if there are several. */
  readonly ways: readonly Figures[];
}

/** A chart of a chapter: a line for each way, over the comparisons of one series. */
export interface Chart {
  /** The name of its file. */
  readonly file: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly points: readonly {
    readonly x: number | string;
    readonly y: number;
    readonly way: string;
  }[];
  /** Bars for an axis of names. @default {"line"} */
  readonly mark?: "line" | "bar";
}

/** The findings of a chapter. */
export interface Section {
  readonly title: string;
  /** The ways compared, and why; Markdown. */
  readonly about: string;
  readonly comparisons: readonly Comparison[];
  readonly charts?: readonly Chart[];
  /** Figures that are no comparison. */
  readonly facts?: readonly { readonly what: string; readonly value: string }[];
}

/** How thoroughly chapters measure. */
export class Context {
  /** Whether everything is to be done once and with little. */
  readonly short: boolean;
  readonly #budget: number;
  readonly #say: (line: string) => void;

  /** `budget`: how long one comparison goes on, in ms. */
  constructor(budget: number, short: boolean, say: (line: string) => void) {
    this.#budget = short ? 0 : budget;
    this.short = short;
    this.#say = say;
  }

  /** The first in a full run, the second in a short one. */
  size<T>(full: T, short: T): T {
    return this.short ? short : full;
  }

  /** Says what is being prepared. */
  say(line: string): void {
    this.#say(line);
  }

  /** Compares the ways; the first is the baseline. */
  async compare(work: string, ways: readonly Way[], x?: number): Promise<Comparison> {
    this.#say(work);
    return {
      work,
      ways: await compare(ways, { budget: this.#budget }),
      ...x !== undefined && { x },
    };
  }
}

/** A part of the report. */
export interface Chapter {
  readonly name: string;
  run(context: Context): Promise<Section[]>;
}

/** The points of a chart from comparisons that have an `x`. */
export function pointsOf(
  comparisons: readonly Comparison[],
  value: (figures: Figures) => number,
): Chart["points"] {
  return comparisons.flatMap(({ x, ways }) =>
    x === undefined ? [] : ways.map((figures) => ({ x, y: value(figures), way: figures.name }))
  );
}

/** The median time of one operation, in µs. */
export function microseconds({ run, ops }: Figures): number {
  return run.p50 / ops * 1000;
}
