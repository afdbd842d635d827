/** Into how many steps the time is divided: so exact is the limit. */
const STEPS = 4;

/** The end of one promise's time. */
interface End {
  /** The steps that are left. */
  steps: number;
  readonly late: () => Error;
  readonly reject: (error: Error) => void;
}

/**
 * Gives each promise the same time, and at most a quarter more. One timer serves all, because a timer for each
 * would cost more than most of the work does.
 */
export class TimeLimit {
  readonly #ms: number;
  readonly #ends = new Set<End>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Each promise gets `ms`. */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** The result of `work`; if it takes too long, this rejects with `late()` and ignores the later result. */
  of<T>(work: Promise<T>, late: () => Error): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // The step under way may end at once, so it does not count.
    const steps = this.#ends.size === 0 ? STEPS : STEPS + 1;
    const end: End = { steps, late, reject };
    this.#ends.add(end);
    this.#timer ??= setInterval(() => this.#step(), this.#ms / STEPS);
    work.then(
      (value) => {
        this.#remove(end);
        resolve(value);
      },
      (error) => {
        this.#remove(end);
        reject(error);
      },
    );
    return promise;
  }

  #step(): void {
    for (const end of this.#ends) {
      end.steps--;
      if (end.steps > 0) continue;
      this.#remove(end);
      end.reject(end.late());
    }
  }

  /** Ends all that is under way: it rejects with `reason`. */
  end(reason: Error): void {
    for (const end of this.#ends) {
      this.#remove(end);
      end.reject(reason);
    }
  }

  #remove(end: End): void {
    this.#ends.delete(end);
    if (this.#ends.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
