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
