/** Into how many steps the time is divided: so exact is the limit. */
const STEPS = 4;

/** The end of one promise's time. */
interface End {
  /** Counts the promises. */
  readonly turn: number;
  /** The steps that are left. */
  steps: number;
  readonly late: () => Error;
  readonly reject: (error: Error) => void;
}

/**
 * Gives each promise the same time, and at most a quarter more. When an earlier promise settles, the
 * time begins anew: work may be done one by one, and then each has to wait for its turn. A later
 * promise is no such sign, so that what is stuck ends beside work that goes on. One timer serves all,
 * because a timer for each would cost more than most of the work does.
 */
export class TimeLimit {
  readonly #ms: number;
  readonly #ends = new Set<End>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #turns = 0;
  /** The first turn that has settled in the step under way. */
  #settled = Infinity;
  /** Why all has ended. */
  #over: Error | undefined;

  /** Each promise gets `ms`. */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** The result of `work`; if it takes too long, this rejects with `late()` and ignores the later result. */
  of<T>(work: Promise<T>, late: () => Error): Promise<T> {
    if (this.#over !== undefined) {
      work.catch(() => {});
      return Promise.reject(this.#over);
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // The step under way may end at once, so it does not count.
    const steps = this.#ends.size === 0 ? STEPS : STEPS + 1;
    const end: End = { turn: this.#turns++, steps, late, reject };
    this.#ends.add(end);
    this.#timer ??= setInterval(() => this.#step(), this.#ms / STEPS);
    work.then(
      (value) => {
        this.#settle(end);
        resolve(value);
      },
      (error) => {
        this.#settle(end);
        reject(error);
      },
    );
    return promise;
  }

  #step(): void {
    const settled = this.#settled;
    this.#settled = Infinity;
    for (const end of this.#ends) {
      end.steps = end.turn > settled ? STEPS : end.steps - 1;
      if (end.steps > 0) continue;
      this.#remove(end);
      end.reject(end.late());
    }
  }

  /** Ends all that is under way, and at once what begins later: it rejects with `reason`. */
  end(reason: Error): void {
    this.#over ??= reason;
    for (const end of this.#ends) {
      this.#remove(end);
      end.reject(reason);
    }
  }

  #settle(end: End): void {
    this.#settled = Math.min(this.#settled, end.turn);
    this.#remove(end);
  }

  #remove(end: End): void {
    this.#ends.delete(end);
    if (this.#ends.size > 0) return;
    this.#settled = Infinity;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
