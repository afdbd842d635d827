/** Weight of a new measurement in the assumed duration. */
const WEIGHT = 0.1;

/**
 * Decides whether saving waiting commands one by one or together is faster. For a batch one server
 * takes about as long as for twenty single saves in a row, a replicated stream as long as for two;
 * so this measures it. While a batch is under way it favours no other one, because each batch
 * stalls the stream of a single server.
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

  /** Time in which another writer can read and save, with some to spare, in ms. */
  get rest(): number {
    return Math.max(4, 16 * this.#single);
  }

  /**
   * Runs a save of `count` commands. Learns its duration if no other save ran beside it; a very long
   * one counts as twice the assumed duration at most.
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
