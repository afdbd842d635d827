interface Job {
  /** Jobs that have to end before this one begins. */
  blocked: number;
  /** Jobs that wait for this one, once for each key that they share. */
  followers?: Job[];
  /** Resolves its turn. */
  start?: () => void;
}

/**
 * Runs work in turn: what shares a key runs one after the other in the order it came, the rest
 * side by side. Work with several keys takes all its places at once, so nothing can deadlock.
 */
export class Lanes {
  /** The last job of each lane that is not empty. */
  readonly #last = new Map<string, Job>();

  /** Runs `work` when everything that came before on any of `keys` has ended. */
  async run<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const job: Job = { blocked: 0 };
    for (const key of keys) {
      const before = this.#last.get(key);
      if (before === job) continue;
      this.#last.set(key, job);
      if (before === undefined) continue;
      (before.followers ??= []).push(job);
      job.blocked++;
    }
    if (job.blocked > 0) await new Promise<void>((resolve) => job.start = resolve);
    try {
      return await work();
    } finally {
      for (const key of keys) {
        if (this.#last.get(key) === job) this.#last.delete(key);
      }
      for (const follower of job.followers ?? []) {
        if (--follower.blocked === 0) follower.start!();
      }
    }
  }

  /** Whether work runs or waits in the lane. */
  isBusy(key: string): boolean {
    return this.#last.has(key);
  }

  /** Resolves when no work is left. */
  async idle(): Promise<void> {
    while (this.#last.size > 0) await this.run([...this.#last.keys()], () => Promise.resolve());
  }
}
