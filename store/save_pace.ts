/** Share of a new measurement in what is assumed. */
const WEIGHT = 0.1;

/**
 * Whether commands that wait are sooner done one by one or together. One server takes about as
 * long for a batch as for twenty saves one after the other, a replicated stream as for two; so
 * it is measured.
 */
export class SavePace {
  /** Assumed duration of the save of one command, in ms. */
  #single = 0.5;
  /** Assumed duration of the save of a group, in ms. */
  #group = 4;

  /** Whether `waiting` commands should be saved together. */
  favoursGroup(waiting: number): boolean {
    return waiting > 1 && waiting * this.#single >= this.#group;
  }

  /** Learns how long a save of `count` commands took; one that took very long weighs no more. */
  learn(count: number, elapsed: number): void {
    if (count === 1) this.#single = mixed(this.#single, elapsed);
    else this.#group = mixed(this.#group, elapsed);
  }
}

function mixed(assumed: number, measured: number): number {
  return assumed + WEIGHT * (Math.min(measured, 2 * assumed) - assumed);
}
