import type { VerifyProgress, VerifyReport } from "./report.ts";

/** Does the work of a verification; tells its progress until `signal` is aborted. */
export type VerifyWork = (
  onProgress: (progress: VerifyProgress) => void,
  signal: AbortSignal,
) => Promise<VerifyReport>;

/** A verification that begins when somebody waits for its report or iterates over its progress. */
export class Verification implements AsyncIterable<VerifyProgress>, PromiseLike<VerifyReport> {
  readonly #work: VerifyWork;
  readonly #left = new AbortController();
  #report: Promise<VerifyReport> | undefined;
  #isOver = false;
  #isAwaited = false;
  #watchers = 0;
  #latest: VerifyProgress | undefined;
  #news = Promise.withResolvers<void>();

  /** Does `work` when it begins. */
  constructor(work: VerifyWork) {
    this.#work = work;
  }

  /** Begins, and resolves with the report. */
  then<Result = VerifyReport, Failure = never>(
    onReport?: ((report: VerifyReport) => Result | PromiseLike<Result>) | null,
    onError?: ((error: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    this.#isAwaited = true;
    return this.#begin().then(onReport, onError);
  }

  /**
   * Begins, and yields the latest progress as it comes. Leaving the loop ends the verification,
   * unless somebody waits for the report.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<VerifyProgress, void> {
    const report = this.#begin();
    this.#watchers++;
    try {
      for (let seen: VerifyProgress | undefined;;) {
        if (this.#latest !== seen && this.#latest !== undefined) {
          seen = this.#latest;
          yield seen;
        } else if (this.#isOver) {
          await report;
          return;
        } else {
          await this.#news.promise;
        }
      }
    } finally {
      if (--this.#watchers === 0 && !this.#isAwaited && !this.#isOver) {
        this.#left.abort(new DOMException("The verification was left", "AbortError"));
        await report.catch(() => {});
      }
    }
  }

  #begin(): Promise<VerifyReport> {
    if (this.#report !== undefined) return this.#report;
    const report = this.#report = this.#work((progress) => {
      this.#latest = progress;
      this.#tell();
    }, this.#left.signal);
    report.catch(() => {}).finally(() => {
      this.#isOver = true;
      this.#tell();
    });
    return report;
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
