/**
 * The part of `@std/testing/time` that this project's tests use, for machines that cannot reach JSR.
 *
 * @module
 */

interface Timer {
  readonly id: number;
  readonly run: () => void;
  readonly every: number | undefined;
  due: number;
}

const REAL = {
  Date: globalThis.Date,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
};

let current: FakeTime | undefined;

/** Replaces `Date` and the timers by ones that move only when asked to. */
export class FakeTime {
  readonly #start: number;
  readonly #timers = new Map<number, Timer>();
  #now: number;
  #lastId = 0;

  /** Takes over the clock, which is stopped at `start` (by default at the present). */
  constructor(start: number | string | Date = REAL.Date.now()) {
    if (current) throw new Error("Cannot fake the time: it is faked already");
    current = this;
    this.#start = this.#now = new REAL.Date(start).valueOf();
    this.#install();
  }

  /** The present in ms since 1970; setting it runs what falls due on the way. */
  get now(): number {
    return this.#now;
  }
  set now(value: number) {
    if (value < this.#now) throw new RangeError("Cannot set the time: it does not run backwards");
    for (;;) {
      const next = this.#next();
      if (!next || next.due > value) break;
      this.#run(next);
    }
    this.#now = value;
  }

  /** The real time when the clock was taken over. */
  get start(): number {
    return this.#start;
  }

  /** Moves on by `ms` and runs the timers that fall due, in their order. */
  tick(ms = 0): void {
    this.now += ms;
  }

  /** As `tick`, with the promises that are ready run before, between and after. */
  async tickAsync(ms = 0): Promise<void> {
    const end = this.#now + ms;
    await this.runMicrotasks();
    for (;;) {
      const next = this.#next();
      if (!next || next.due > end) break;
      this.#run(next);
      await this.runMicrotasks();
    }
    this.#now = end;
  }

  /** Moves on to the next timer and runs it; false if there is none. */
  next(): boolean {
    const next = this.#next();
    if (next) this.#run(next);
    return next !== undefined;
  }

  /** As `next`, with the promises that are ready run before and after. */
  async nextAsync(): Promise<boolean> {
    await this.runMicrotasks();
    const more = this.next();
    await this.runMicrotasks();
    return more;
  }

  /** Runs the promises that are ready. */
  async runMicrotasks(): Promise<void> {
    await new Promise<void>((resolve) => REAL.setTimeout(resolve, 0));
  }

  /** Restores the real clock. */
  restore(): void {
    if (current !== this) throw new Error("Cannot restore the time: it is restored already");
    current = undefined;
    Object.assign(globalThis, REAL);
  }

  /** Restores the real clock, at the end of a `using` block. */
  [Symbol.dispose](): void {
    if (current === this) this.restore();
  }

  #install(): void {
    const now = () => this.#now;
    const FakeDate = new Proxy(REAL.Date, {
      construct: (target, args, newTarget) =>
        Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
      apply: () => new REAL.Date(now()).toString(),
      get: (target, key, receiver) => key === "now" ? now : Reflect.get(target, key, receiver),
    });
    type Callback = (...args: unknown[]) => void;
    const clear = (id?: number) => void this.#timers.delete(Number(id));
    Object.assign(globalThis, {
      Date: FakeDate,
      setTimeout: (fn: Callback, ms = 0, ...args: unknown[]) =>
        this.#add(() => fn(...args), ms, undefined),
      setInterval: (fn: Callback, ms = 0, ...args: unknown[]) =>
        this.#add(() => fn(...args), ms, Math.max(1, ms)),
      clearTimeout: clear,
      clearInterval: clear,
    });
  }

  #add(run: () => void, ms: number, every: number | undefined): number {
    const id = ++this.#lastId;
    this.#timers.set(id, { id, run, every, due: this.#now + Math.max(every ?? 0, ms, 0) });
    return id;
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers.values()) if (!first || timer.due < first.due) first = timer;
    return first;
  }

  #run(timer: Timer): void {
    this.#now = Math.max(this.#now, timer.due);
    this.#timers.delete(timer.id);
    if (timer.every !== undefined) {
      timer.due += timer.every;
      this.#timers.set(timer.id, timer); // at the end: first come, first served at equal times
    }
    timer.run();
  }
}
