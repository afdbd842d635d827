/** Weight of a new measurement in the assumed duration. */
const WEIGHT = 0.1;

/**
 * Measures how long a save takes, and so how long a writer has to rest to let one in that must
 * read before it can save.
 */
export class SavePace {
  /** Assumed duration of a save, in ms. */
  #duration = 0.25;
  #saves = 0;

  /** Time in which another writer can read and save, with some to spare, in ms. */
  get rest(): number {
    return Math.max(4, 16 * this.#duration);
  }

  /**
   * Runs a save. Learns its duration if no other save ran beside it; a very long one counts as
   * twice the assumed duration at most.
   */
  async run<T>(save: () => Promise<T>): Promise<T> {
    const isLearning = this.#saves++ === 0;
    const began = performance.now();
    try {
      const result = await save();
      if (isLearning && this.#saves === 1) this.#learn(performance.now() - began);
      return result;
    } finally {
      this.#saves--;
    }
  }

  #learn(elapsed: number): void {
    this.#duration += WEIGHT * (Math.min(elapsed, 2 * this.#duration) - this.#duration);
  }
}
