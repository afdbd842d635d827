import { unlessAborted } from "./abort.ts";
import { LONGEST_TIMER } from "./sleep.ts";

/** Wakes those that wait when something has changed. */
export class Notifier {
  readonly #waiting = new Set<() => void>();
  #count = 0;

  /** How many changes there were: a caller that acts on what it sees takes the count first. */
  get count(): number {
    return this.#count;
  }

  /** Something has changed. */
  notify(): void {
    this.#count++;
    for (const wake of this.#waiting) wake();
  }

  /** Calls `wake` at each change, until the caller calls the function that this returns. */
  listen(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => void this.#waiting.delete(wake);
  }

  /**
   * Resolves after `ms`, at the first change after `since`, or when `signal` is aborted.
   *
   * @param holds Whether the wait keeps the process from ending.
   */
  async wait(
    ms: number = Infinity,
    signal?: AbortSignal,
    since: number = this.#count,
    holds: boolean = true,
  ): Promise<void> {
    if (this.#count !== since || signal?.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    // Before the timer: the first timer of a process lets other work run while it is set.
    this.#waiting.add(wake);
    signal?.addEventListener("abort", wake, { once: true });
    const timer = ms === Infinity ? undefined : setTimeout(wake, Math.min(ms, LONGEST_TIMER));
    if (!holds) letGo(timer);
    await promise;
    clearTimeout(timer);
    signal?.removeEventListener("abort", wake);
    this.#waiting.delete(wake);
  }

  /**
   * The first result of `look` that is not `undefined`; looks at each change and every `poll` ms.
   *
   * @param holds Whether the next wait keeps the process from ending.
   */
  async until<T>(
    look: () => T | undefined | Promise<T | undefined>,
    poll: number,
    signal: AbortSignal,
    holds: () => boolean = () => true,
  ): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const { count } = this;
      const found = await unlessAborted(signal, look());
      if (found !== undefined) return found;
      await this.wait(poll, signal, count, holds());
    }
  }
}

/** Lets the process end though the timer runs: a timer is an object in Node, and a number in Deno. */
function letGo(timer: unknown): void {
  const { unref } = Object(timer) as { unref?: () => void };
  if (unref !== undefined) return unref.call(timer);
  const { Deno } = globalThis as { Deno?: { unrefTimer?: (timer: unknown) => void } };
  Deno?.unrefTimer?.(timer);
}
