/** Lets so much work at once, and the rest in turn: first come, first served. */
export class Slots {
  #free: number;
  #waiting: (() => void)[] = [];
  /** The first that still waits; removing it from the front would move all others. */
  #first = 0;

  /** Lets `count` at once. */
  constructor(count: number) {
    this.#free = count;
  }

  /** Does `work` when its turn comes. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  #next(): void {
    const next = this.#waiting[this.#first++];
    if (next !== undefined) return next();
    this.#waiting = [];
    this.#first = 0;
    this.#free++;
  }
}
