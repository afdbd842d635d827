import type { StoredMessage } from "../nats/stored_message.ts";
import type { Head } from "./heads.ts";
import { missingBefore, notGrowing, previousOf, versionIn } from "./message_facts.ts";

/** Where a history begins. */
export const BEGINNING: Head = { version: 0, sequence: 0 };

/** Follows an actor's messages, each of which must follow on the one before. */
export class VersionChain {
  /** Where the chain has come. */
  head: Head;
  /** Whether nothing of the range was seen yet. */
  skipping = true;
  readonly #actorId: string;
  readonly #from: number;

  /** Wants versions of `from` and above, of what stands behind `after`. */
  constructor(actorId: string, from: number, after: Head) {
    this.#actorId = actorId;
    this.#from = from;
    this.head = after;
  }

  /** Those of `page` that are in the range. */
  follow(page: readonly StoredMessage[], to: number): StoredMessage[] {
    const wanted: StoredMessage[] = [];
    let before = this.head.version;
    for (const message of page) {
      const version = versionIn(message);
      // What is older than asked only says where the rest begins; its content may be anything.
      if (version >= this.#from || version <= before) {
        const previous = previousOf(message);
        // The first one wanted may follow on one that is not, which nobody has to have seen.
        const follows = this.skipping
          ? previous >= before && previous < Math.max(this.#from, 1)
          : previous === before;
        if (!follows) throw missingBefore(message, this.#actorId, before);
        if (version <= before) throw notGrowing(message, this.#actorId, before);
        this.skipping = false;
        if (version <= to) wanted.push(message);
      }
      before = version;
    }
    const last = page.at(-1);
    if (last !== undefined) this.head = { version: before, sequence: last.sequence };
    return wanted;
  }
}
