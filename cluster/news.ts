import { LONGEST_TIMER } from "../store/pause.ts";

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
