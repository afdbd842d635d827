import type { Wire } from "./wire.ts";

/** First wait, in ms; it doubles up to {@linkcode LONGEST}. */
const SHORTEST = 4;
/** Longest wait, in ms. */
const LONGEST = 250;

/**
 * Waits between tries: a random part of a span that doubles from 4 to 250 ms, and for the
 * connection where it is down. The function that it gives waits once, and says whether there
 * is time for another try before `deadline` (by the monotonic clock, in ms); an aborted
 * `signal` leaves none.
 */
export function backoff(
  deadline: number,
  signal?: AbortSignal,
): (wire: Wire) => Promise<boolean> {
  let span = SHORTEST;
  return async (wire) => {
    const left = deadline - performance.now();
    if (wire.closed || left <= 0 || signal?.aborted) return false;
    const pause = span * (0.5 + Math.random() / 2);
    span = Math.min(span * 2, LONGEST);
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = () => resolve();
    const timer = setTimeout(resolve, Math.min(pause, left));
    signal?.addEventListener("abort", stop);
    await promise;
    clearTimeout(timer);
    await wire.connected(deadline - performance.now(), signal);
    signal?.removeEventListener("abort", stop);
    return !wire.closed && !signal?.aborted && performance.now() < deadline;
  };
}
