/** Share of a new measurement in what is assumed. */
const WEIGHT = 0.1;

/**
 * Whether commands that wait are sooner done one by one or together. One server takes about as
 * long for a batch as for twenty saves one after the other, a replicated stream as for two; so
 * it is measured. While a batch is under way no other is begun by choice, for each of them stalls
 * the stream of one server.
 */
export class GroupPolicy {
  /** Assumed duration of the save of one command, in ms. */
  #single = 0.25;
  /** Assumed duration of the save of a group, in ms. */
  #group = 4;
  #saves = 0;
  #groups = 0;

  /** Whether `waiting` commands should be saved together. */
  favoursGroup(waiting: number): boolean {
    return waiting > 1 && this.#groups === 0 && waiting * this.#single >= this.#group;
  }

  /** How long another writer takes for a read and a save, and somewhat more, in ms. */
  get rest(): number {
    return Math.max(4, 16 * this.#single);
  }

  /**
   * Runs a save of `count` commands. Learns from one that has the server for itself; one that
   * takes very long weighs no more than twice of what was assumed.
   */
  async run<T>(count: number, save: () => Promise<T>): Promise<T> {
    const isLearning = this.#saves++ === 0;
    if (count > 1) this.#groups++;
    const began = performance.now();
    try {
      const result = await save();
      if (isLearning && this.#saves === 1) this.#learn(count, performance.now() - began);
      return result;
    } finally {
      this.#saves--;
      if (count > 1) this.#groups--;
    }
  }

  #learn(count: number, elapsed: number): void {
    if (count === 1) this.#single = mixed(this.#single, elapsed);
    else this.#group = mixed(this.#group, elapsed);
  }
}

function mixed(assumed: number, measured: number): number {
  return assumed + WEIGHT * (Math.min(measured, 2 * assumed) - assumed);
}
