import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import type { RequestMux } from "./requests.ts";

/** The shortest and the longest span of waiting, in ms. */
const WAITS = [4, 250] as const;

/** What a wait between tries asks of the requests: whether they can be sent. */
export type Reach = Pick<RequestMux, "closed" | "connected">;

/**
 * Waits between tries: for a random part of a span that doubles from 4 to 250 ms, and for the
 * connection if it is down. The function that it returns waits once, and returns whether there
 * is time for another try before `deadline` (by the monotonic clock, in ms; `Infinity` is never);
 * an aborted `signal` leaves none.
 */
export function backoff(
  deadline: number,
  signal?: AbortSignal,
): (requests: Reach) => Promise<boolean> {
  const nextWait = jitteredWaits(...WAITS);
  return async (requests) => {
    const left = deadline - performance.now();
    if (requests.closed || left <= 0 || signal?.aborted) return false;
    await sleep(Math.min(nextWait(), left), signal);
    await requests.connected(deadline - performance.now(), signal);
    return !requests.closed && !signal?.aborted && performance.now() < deadline;
  };
}
