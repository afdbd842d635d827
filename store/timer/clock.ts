import { sleep } from "../base/sleep.ts";
import type { StorePositions } from "../store_positions.ts";

/** How long an answer of the server is relied on, in ms: clocks drift apart. */
const FRESH = 1_000;
/**
 * How long nobody looks at the server's clock, at most, in ms: one that was behind, or a machine that
 * slept, must not keep deadlines for longer.
 */
const LONGEST = 15_000;

/** The time by which deadlines are due. Tests pass one of their own. */
export interface DeadlineClock {
  /** A time that has certainly come by now, in ms since 1970. */
  now(): number | Promise<number>;
  /** Resolves after `ms` by this clock, or when `signal` is aborted. Too early does no harm. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/**
 * The clock of a store's server. It is never ahead of it: the server's last time is at least as old
 * as its answer.
 */
export class ServerClock implements DeadlineClock {
  readonly #positions: Pick<StorePositions, "now">;
  #sample: { readonly time: number; readonly at: number } | undefined;
  #asking: Promise<void> | undefined;

  /** Asks `positions` for the time, once a second at most. */
  constructor(positions: Pick<StorePositions, "now">) {
    this.#positions = positions;
  }

  /**
   * See {@linkcode DeadlineClock.now}.
   *
   * @throws {StoreUnavailableError} The server could not be asked.
   */
  async now(): Promise<number> {
    if (this.#sample === undefined || performance.now() - this.#sample.at > FRESH) {
      this.#asking ??= this.#ask().finally(() => this.#asking = undefined);
      await this.#asking;
    }
    const { time, at } = this.#sample!;
    return time + Math.floor(performance.now() - at);
  }

  /** See {@linkcode DeadlineClock.wait}; resolves at the latest after 15 s: then it is asked again. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    return sleep(Math.min(ms, LONGEST), signal);
  }

  async #ask(): Promise<void> {
    const time = await this.#positions.now();
    this.#sample = { time, at: performance.now() };
  }
}
