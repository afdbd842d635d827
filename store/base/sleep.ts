/** The longest time that a timer can run, in ms. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** Resolves after `ms`, in the next turn at the earliest, or when `signal` is aborted. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  // First: the first timer of a process lets other work run while it is set.
  signal?.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(resolve, Math.min(Math.max(0, ms), LONGEST_TIMER));
  await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", stop);
}
