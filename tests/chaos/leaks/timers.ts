/**
 * Counts the timers that run in this process: it stands in for the functions that set and clear them.
 *
 * @module
 */

/** The timers that run, of those that were set since this was made. */
export class Timers implements Disposable {
  readonly #own = { setTimeout, setInterval, clearTimeout, clearInterval };
  readonly #signalAfter = AbortSignal.timeout;
  /** Their delays in ms. */
  readonly running = new Map<unknown, unknown>();

  /** Watches from now on. */
  constructor() {
    type Work = (...args: unknown[]) => unknown;
    type SetTimer = (work: Work, ms?: unknown, ...args: unknown[]) => unknown;
    const watched = (set: SetTimer, isOnce: boolean): SetTimer => (work, ms, ...args) => {
      const id = set(() => {
        if (isOnce) this.running.delete(id);
        work(...args);
      }, ms);
      this.running.set(id, ms ?? 0);
      return id;
    };
    const clear = (id: unknown) => {
      this.running.delete(id);
      this.#own.clearTimeout(id as number);
    };
    Object.assign(globalThis, {
      setTimeout: watched(this.#own.setTimeout as SetTimer, true),
      setInterval: watched(this.#own.setInterval as SetTimer, false),
      ...{ clearTimeout: clear, clearInterval: clear },
    });
    // The runtime keeps such a signal until its time has come, too.
    AbortSignal.timeout = (ms) => {
      const signal = this.#signalAfter.call(AbortSignal, ms);
      this.running.set(signal, ms);
      signal.addEventListener("abort", () => this.running.delete(signal), { once: true });
      return signal;
    };
  }

  /** Watches no longer. */
  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#own);
    AbortSignal.timeout = this.#signalAfter;
  }
}
