import { dropOldest } from "../store/base/oldest.ts";
import { callHook } from "../store/base/hook.ts";
import { textOf } from "../store/base/text.ts";

/** How long a repeated problem is not reported again, in ms. */
const QUIET = 600_000;
/** How many problems are remembered. */
const KEPT = 100;

/** Reports problems; one that repeats, perhaps many times a second, every ten minutes at most. */
export class ErrorThrottle {
  readonly #reported = new Map<string, number>();
  readonly #onError: (error: unknown) => void;

  /** `onError` gets each report; an error that it throws is printed. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Reports `error`, unless the same problem was reported in the last ten minutes. */
  report(error: unknown): void {
    const problem = textOf(error);
    const now = performance.now();
    if (now - (this.#reported.get(problem) ?? -Infinity) < QUIET) return;
    this.#reported.delete(problem);
    this.#reported.set(problem, now);
    dropOldest(this.#reported, KEPT);
    callHook("onError of the cluster", () => this.#onError(error));
  }
}
