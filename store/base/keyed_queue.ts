/** One piece of work, from when it takes its places to when it leaves them. */
class Job<Ticket> {
  readonly ticket: Ticket;
  /** Jobs that have to end before this one begins. */
  blocked = 0;
  /** Jobs that wait for this one, once for each key that they share. */
  followers?: Job<Ticket>[];
  /** Resolves its turn. */
  start?: () => void;

  constructor(ticket: Ticket) {
    this.ticket = ticket;
  }

  /** The tickets of the jobs behind it, in order; complete only if all of them have one key. */
  *behind(): Generator<Ticket, void> {
    for (let job = this.followers?.[0]; job !== undefined; job = job.followers?.[0]) {
      yield job.ticket;
    }
  }
}

/**
 * Runs work in turn: jobs that share a key run one after the other, in the order they came; the
 * rest run side by side. A job with several keys takes all its places at once, so that no
 * deadlock can arise.
 */
export class KeyedQueue<Ticket = undefined> {
  /** The last job of each key that has any. */
  readonly #last = new Map<string, Job<Ticket | undefined>>();
  /** Resolves when no work is left, while somebody waits for that. */
  #idle: Promise<void> | undefined;

  /**
   * Runs `work` when all earlier work on any of `keys` has ended. `work` may look at the tickets
   * behind it, which is of use if it has one key.
   */
  run<T>(
    keys: readonly string[],
    work: (turn: { behind(): Iterable<Ticket | undefined> }) => Promise<T>,
    ticket?: Ticket,
  ): Promise<T> {
    const job = new Job<Ticket | undefined>(ticket);
    for (const key of keys) {
      const before = this.#last.get(key);
      if (before === job) continue;
      this.#last.set(key, job);
      if (before === undefined) continue;
      (before.followers ??= []).push(job);
      job.blocked++;
    }
    const done = job.blocked === 0
      ? begin(work, job)
      : new Promise<void>((resolve) => job.start = resolve).then(() => work(job));
    const leave = () => this.#leave(keys, job);
    done.then(leave, leave);
    return done;
  }

  #leave(keys: readonly string[], job: Job<Ticket | undefined>): void {
    for (const key of keys) {
      if (this.#last.get(key) === job) this.#last.delete(key);
    }
    for (const follower of job.followers ?? []) {
      if (--follower.blocked === 0) follower.start!();
    }
  }

  /** Resolves when no work is left. */
  idle(): Promise<void> {
    if (this.#last.size === 0) return Promise.resolve();
    // One for all who wait: each would see the others' turns as work, and none would ever end.
    return this.#idle ??= this.#untilIdle();
  }

  async #untilIdle(): Promise<void> {
    while (this.#last.size > 0) await this.run([...this.#last.keys()], () => Promise.resolve());
    this.#idle = undefined;
  }
}

/** Not async, for the sake of speed: only an error that `work` throws becomes a promise. */
function begin<Turn, T>(work: (turn: Turn) => Promise<T>, turn: Turn): Promise<T> {
  try {
    return work(turn);
  } catch (error) {
    return Promise.reject(error);
  }
}
