import { called } from "../base/abort.ts";
import { sleep } from "../base/sleep.ts";
import { messageOf, textOf } from "../base/text.ts";
import { StoreUnavailableError } from "../errors.ts";
import type { DeadlineClock } from "./clock.ts";

/** How long an answer may take, and how long nobody looks at the clock, at most, in ms. */
const LONGEST = 5_000;
/** The largest time of a `Date`, in ms. */
const LAST = 8.64e15;

/** A clock of the user's own, which may throw, never answer, or give something that is no time. */
export class GuardedClock implements DeadlineClock {
  readonly #clock: DeadlineClock;

  /** Asks `clock`. */
  constructor(clock: DeadlineClock) {
    this.#clock = clock;
  }

  /**
   * See {@linkcode DeadlineClock.now}.
   *
   * @throws {StoreUnavailableError} The clock gives no time: whoever asks waits, and asks again.
   */
  async now(): Promise<number> {
    let time: unknown;
    const over = new AbortController();
    try {
      time = await Promise.race([
        called(() => this.#clock.now()),
        sleep(LONGEST, over.signal).then(() => {
          throw new Error(`it did not answer within ${LONGEST} ms`);
        }),
      ]);
    } catch (cause) {
      throw unreadable(messageOf(cause), cause);
    } finally {
      over.abort();
    }
    if (typeof time === "number" && Math.abs(time) <= LAST) return time;
    throw unreadable(`now() gave ${textOf(time)}, not a time in ms`);
  }

  /** Resolves when `wait` of the clock does, at the latest after 5 s: then the clock is read again. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([over.signal, signal]);
    await Promise.race([
      called(() => this.#clock.wait(ms, either)).catch(() => sleep(Math.min(ms, LONGEST), either)),
      sleep(LONGEST, either),
    ]);
    over.abort();
    // A wait that is always over at once must leave room for other work.
    await sleep(0, signal);
  }
}

function unreadable(reason: string, cause?: unknown): StoreUnavailableError {
  const message = `Cannot read the clock of deadlines: ${reason}`;
  return new StoreUnavailableError(message, cause === undefined ? {} : { cause });
}
