import type { StoredMessage } from "../nats/stored_message.ts";
import type { Head } from "./heads.ts";
import {
  idsIn,
  missingBefore,
  NO_HEAD,
  notGrowing,
  previousOf,
  versionIn,
} from "./message_facts.ts";
import { StoredRun } from "./stored_run.ts";

/** Where a history begins. */
export const BEGINNING: Head = NO_HEAD;

/** Events of one message that are wanted: those from one index up to another. */
export interface RunSlice {
  readonly run: StoredRun;
  readonly start: number;
  readonly end: number;
}

/** Follows an actor's messages, each of which must follow on the one before. */
export class VersionChain {
  /** Where the chain has come. */
  head: Head;
  /** Whether nothing of the range was seen yet. */
  skipping = true;
  readonly #actorId: string;
  readonly #from: number;

  /** Wants versions of `from` and above, of those behind `after`. */
  constructor(actorId: string, from: number, after: Head) {
    this.#actorId = actorId;
    this.#from = from;
    this.head = after;
  }

  /**
   * The events of `page` that are in the range, up to version `to`. The chain ends there, or once it
   * has `limit` of them: what is behind need not be readable.
   */
  follow(page: readonly StoredMessage[], to: number, limit = Infinity): RunSlice[] {
    const wanted: RunSlice[] = [];
    let before = this.head.version;
    let last: StoredMessage | undefined;
    let left = limit;
    for (const message of page) {
      if (before >= to || left <= 0) break;
      const version = versionIn(message);
      // The content of older events may be anything: they only say where the rest begins.
      if (version >= this.#from || version <= before) {
        const previous = previousOf(message);
        // The first one wanted may follow on one that is not, which nobody has to have seen.
        const follows = this.skipping
          ? previous >= before && previous < Math.max(this.#from, 1)
          : previous === before;
        if (!follows) throw missingBefore(message, this.#actorId, before);
        const run = new StoredRun(message);
        if (run.count === 0 ? version !== previous : version <= before) {
          throw notGrowing(message, this.#actorId, before);
        }
        if (run.count > 0) {
          this.skipping = false;
          const start = previous >= this.#from - 1 ? 0 : run.indexFrom(this.#from);
          const end = version <= to ? run.count : run.indexFrom(to + 1);
          if (start < end) wanted.push({ run, start, end });
          left -= Math.max(0, end - start);
        }
      }
      before = version;
      last = message;
    }
    if (last !== undefined) {
      this.head = { version: before, sequence: last.sequence, ids: idsIn(last) };
    }
    return wanted;
  }
}
