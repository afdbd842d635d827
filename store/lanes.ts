interface Job {
  /** Lanes in which other jobs stand before this one. */
  blocked: number;
  start: () => void;
}

/**
 * Runs work in turn: what shares a key runs one after the other in the order it came, the rest
 * side by side. Work with several keys takes all its places at once, so nothing can deadlock.
 */
export class Lanes {
  readonly #queues = new Map<string, Job[]>();

  /** Runs `work` when everything that came before on any of `keys` has ended. */
  async run<T>(keys: Iterable<string>, work: () => Promise<T>): Promise<T> {
    const lanes = [...new Set(keys)];
    const { promise, resolve } = Promise.withResolvers<void>();
    const job: Job = { blocked: 0, start: resolve };
    for (const key of lanes) {
      const queue = this.#queues.get(key);
      if (queue === undefined) this.#queues.set(key, [job]);
      else if (queue.push(job) > 1) job.blocked++;
    }
    if (job.blocked > 0) await promise;
    try {
      return await work();
    } finally {
      for (const key of lanes) this.#leave(key);
    }
  }

  /** Resolves when no work is left. */
  async idle(): Promise<void> {
    while (this.#queues.size > 0) await this.run(this.#queues.keys(), () => Promise.resolve());
  }

  #leave(key: string): void {
    const queue = this.#queues.get(key)!;
    queue.shift();
    const next = queue[0];
    if (next === undefined) this.#queues.delete(key);
    else if (--next.blocked === 0) next.start();
  }
}
