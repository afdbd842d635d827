import { sleep } from "../base/sleep.ts";
import type { RequestMux } from "./requests.ts";

/** First wait, in ms; it doubles up to {@linkcode LONGEST}. */
const SHORTEST = 4;
/** Longest wait, in ms. */
const LONGEST = 250;

/**
 * Waits between tries: for a random part of a span that doubles from 4 to 250 ms, and for the
 * connection if it is down. The function that it returns waits once, and returns whether there
 * is time for another try before `deadline` (by the monotonic clock, in ms; `Infinity` is never);
 * an aborted `signal` leaves none.
 */
export function backoff(
  deadline: number,
  signal?: AbortSignal,
): (requests: RequestMux) => Promise<boolean> {
  let span = SHORTEST;
  return async (requests) => {
    const left = deadline - performance.now();
    if (requests.closed || left <= 0 || signal?.aborted) return false;
    const wait = span * (0.5 + Math.random() / 2);
    span = Math.min(span * 2, LONGEST);
    await sleep(Math.min(wait, left), signal);
    await requests.connected(deadline - performance.now(), signal);
    return !requests.closed && !signal?.aborted && performance.now() < deadline;
  };
}
