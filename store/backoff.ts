import type { Wire } from "./wire.ts";

/** First wait, in ms; it doubles up to {@linkcode LONGEST}. */
const SHORTEST = 4;
/** Longest wait, in ms. */
const LONGEST = 250;

/**
 * Waits between tries: a random part of a span that doubles from 4 to 250 ms, and for the
 * connection where it is down. The function that it gives waits once, and says whether there
 * is time for another try before `deadline` (by the monotonic clock, in ms).
 */
export function backoff(deadline: number): (wire: Wire) => Promise<boolean> {
  let span = SHORTEST;
  return async (wire) => {
    const left = deadline - performance.now();
    if (wire.closed || left <= 0) return false;
    const pause = span * (0.5 + Math.random() / 2);
    span = Math.min(span * 2, LONGEST);
    await new Promise((resolve) => setTimeout(resolve, Math.min(pause, left)));
    await wire.connected(deadline - performance.now());
    return !wire.closed && performance.now() < deadline;
  };
}
