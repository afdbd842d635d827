/**
 * A storm: a seeded run of faults against real servers and processes, and the checks of what came
 * of it. `deno task chaos` runs them long, tests run the same code short.
 *
 * @module
 */

import { seededRandom } from "../support/proxy.ts";

/**
 * The results of a scenario, for the table: numbers with their units in the name, or short texts.
 */
export type Findings = Readonly<Record<string, number | string>>;

/** One run of a scenario. */
export class Chaos {
  /** Gives the same faults for the same seed, as far as processes and servers keep time. */
  readonly seed: number;
  /** How long to do harm, in ms. */
  readonly duration: number;
  /** Numbers in [0, 1) by the seed. */
  readonly random: () => number;
  /** Told what happens, a line each. */
  readonly log: (line: string) => void;
  /** How many NATS servers there are, where a scenario leaves the choice. */
  readonly nodes: 1 | 3;

  /** A run of `duration` ms by `seed`. */
  constructor(
    seed: number,
    duration: number,
    log: (line: string) => void = () => {},
    nodes: 1 | 3 = 3,
  ) {
    this.seed = seed;
    this.duration = duration;
    this.nodes = nodes;
    this.random = seededRandom(seed);
    this.log = log;
  }

  /** A number from `least` up to `most`. */
  between(least: number, most: number): number {
    return least + this.random() * (most - least);
  }

  /** One of `things`. */
  pick<T>(things: readonly T[]): T {
    return things[Math.floor(this.random() * things.length)]!;
  }
}

/** A storm that has a name on the command line. */
export interface Scenario {
  /** What it does and what has to hold, in a line. */
  readonly description: string;
  /** How long it does harm if nothing is said, in minutes. */
  readonly minutes: number;
  /** Runs it; throws where a promise was broken. */
  run(chaos: Chaos): Promise<Findings>;
}

/** Waits `ms`: a storm has its pauses, a test has none. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
