import { reasonOf } from "../base/reason.ts";
import { AetherError, StoreUnavailableError } from "../errors.ts";
import { backoff } from "./backoff.ts";
import type { RequestMux } from "./requests.ts";
import { isPassing } from "./stream_api.ts";

/**
 * Does a read; repeats it after passing trouble until `timeout` ms are over.
 *
 * @param what The work, as the error names it: `Cannot ${what}`.
 * @throws {StoreUnavailableError} The server does not answer, or refuses.
 */
export async function attempt<T>(
  requests: RequestMux,
  timeout: number,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  for (const retry = backoff(performance.now() + timeout);;) {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof AetherError) throw cause;
      if (isPassing(cause) && await retry(requests)) continue;
      throw new StoreUnavailableError(`Cannot ${what}: ${reasonOf(cause)}`, { cause });
    }
  }
}
