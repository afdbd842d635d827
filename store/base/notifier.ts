import { LONGEST_TIMER } from "./sleep.ts";

/** Tells those who wait that something has changed. */
export class News {
  readonly #waiting = new Set<() => void>();
  #count = 0;

  /** How many changes there were: who acts upon what it sees takes the count before. */
  get count(): number {
    return this.#count;
  }

  /** Something has changed. */
  tell(): void {
    this.#count++;
    for (const wake of this.#waiting) wake();
  }

  /** Calls `told` at each change, until what it gives is called. */
  listen(told: () => void): () => void {
    this.#waiting.add(told);
    return () => void this.#waiting.delete(told);
  }

  /** Resolves after `ms`, or when there is more news than `count`, or `signal` is aborted. */
  async wait(ms: number, count: number, signal?: AbortSignal): Promise<void> {
    if (this.#count !== count || signal?.aborted) return;
    const { promise, resolve: wake } = Promise.withResolvers<void>();
    const stop = () => wake();
    // First: the first timer of a process lets other work run while it is set.
    this.#waiting.add(wake);
    const timer = setTimeout(wake, Math.min(ms, LONGEST_TIMER));
    signal?.addEventListener("abort", stop, { once: true });
    await promise;
    signal?.removeEventListener("abort", stop);
    this.#waiting.delete(wake);
    clearTimeout(timer);
  }
}

/** Wakes all who wait when something has happened. */
export class Pulse {
  #next = Promise.withResolvers<void>();

  /** Something has happened. */
  tell(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  /** Resolves when something happens from now on, after `ms`, or when `signal` is aborted. */
  async wait(ms: number = Infinity, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms === Infinity ? undefined : setTimeout(resolve, ms);
    const stop = () => resolve();
    signal?.addEventListener("abort", stop);
    await Promise.race([promise, this.#next.promise]);
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }

  /** What `look` gives as soon as it gives something; looks again when told, and each `poll` ms. */
  async until<T>(
    look: () => T | undefined | Promise<T | undefined>,
    poll: number,
    signal: AbortSignal,
  ): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const next = this.wait(poll, signal);
      const found = await look();
      if (found !== undefined) return found;
      await next;
    }
  }
}
