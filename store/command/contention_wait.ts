import type { PendingCommand } from "./pending_command.ts";

/**
 * Waits that grow and then start over: some tries have to be close to each other to get between
 * the saves of another writer. That, and a part from 0 on, is why these are not `jitteredWaits`.
 */
export class ContentionWait {
  #span: number;
  readonly #shortest: number;
  readonly #longest: number;

  constructor(shortest: number, longest: number) {
    this.#span = shortest;
    this.#shortest = shortest;
    this.#longest = longest;
  }

  /** Waits for a random part of the span, or until all `jobs` have ended, if there are any. */
  async wait(jobs: readonly Pick<PendingCommand, "promise">[] = []): Promise<void> {
    const span = this.#span;
    this.#span = span < this.#longest ? span * 2 : this.#shortest;
    await rest(Math.random() * span, jobs);
  }
}

/** Waits for `duration` ms, or until all `jobs` have ended, if there are any. */
export async function rest(
  duration: number,
  jobs: readonly Pick<PendingCommand, "promise">[],
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, duration);
  if (jobs.length > 0) Promise.allSettled(jobs.map((job) => job.promise)).then(() => resolve());
  await promise;
  clearTimeout(timer);
}
