/** How long the same problem is not told again, in ms. */
const QUIET = 600_000;
/** Problems that are remembered. */
const KEPT = 100;

/** Tells of problems: of the same one, which may come back many times a second, now and then. */
export class ErrorThrottle {
  readonly #told = new Map<string, number>();
  readonly #onError: (error: unknown) => void;

  /** `onError` is told; what it throws is its caller's to see. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Tells of `error`, unless the same was told of in the last ten minutes. */
  tell(error: unknown): void {
    const problem = String(error);
    const now = performance.now();
    if (now - (this.#told.get(problem) ?? -Infinity) < QUIET) return;
    this.#told.delete(problem);
    this.#told.set(problem, now);
    if (this.#told.size > KEPT) this.#told.delete(this.#told.keys().next().value!);
    this.#onError(error);
  }
}
