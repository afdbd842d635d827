import { isInstance } from "../base/text.ts";
import { AetherError } from "../errors.ts";
import { backoff } from "./backoff.ts";
import { failed } from "./failure.ts";
import type { RequestMux } from "./requests.ts";
import { isPassing } from "./stream_api.ts";

/**
 * Does a read; repeats it after passing trouble until `timeout` ms are over.
 *
 * @param what The work, as the error names it: `Cannot ${what}`.
 * @throws {StoreUnavailableError} The server does not answer.
 * @throws {StoreRefusedError} It refuses, and no other try can help.
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
      if (isInstance(cause, AetherError)) throw cause;
      if (isPassing(cause) && await retry(requests)) continue;
      throw failed(what, cause);
    }
  }
}
