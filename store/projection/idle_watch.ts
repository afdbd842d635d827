/** How long a projection may stand still until a caller that waits for it is warned, in ms. */
const WARNING = 5_000;
/** How long until the wait ends: longer than an event is tried again by default. */
const END = 60_000;

/** Watches a projection that a caller waits for, and that this process does not run. */
export class IdleWatch {
  readonly #now: () => number;
  #positions = "";
  #since: number;
  #warned = false;
  #isStuck = false;

  /** Whether the wait seems to be for nothing: long enough to warn, and nothing has moved since. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** Begins to watch; `now` is a monotonic clock, in ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#since = now();
  }

  /**
   * How to treat partitions at `positions`: warn, once, or end the wait.
   *
   * @param isIdle Whether this process does nothing to move them.
   */
  look(positions: readonly number[], isIdle: boolean): "warn" | "end" | undefined {
    const text = positions.join();
    if (!isIdle || text !== this.#positions) {
      this.#positions = text;
      this.#since = this.#now();
      this.#isStuck = false;
      return undefined;
    }
    const stood = this.#now() - this.#since;
    if (stood >= END) return "end";
    this.#isStuck = stood >= WARNING;
    if (!this.#isStuck || this.#warned) return undefined;
    this.#warned = true;
    return "warn";
  }
}
