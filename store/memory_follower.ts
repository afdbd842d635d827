import { unlessAborted } from "./abort.ts";
import { StreamRegressedError } from "./errors.ts";
import type { Event } from "./event.ts";
import { prepareReadAll } from "./prepare.ts";
import type { EventFilter } from "./store.ts";
import {
  type EventSource,
  type EventSubscriptionOptions,
  type Followed,
  isOfActor,
  type SubscriptionStart,
} from "./subscription.ts";

/** What is followed: events in the order of the store, as it keeps them. */
export interface MemoryLog<Stored> {
  /** All of them; only ever grows. */
  readonly log: readonly Stored[];
  /** The last sequence that is taken. */
  end(): number;
  /** Resolves when the log grows. */
  grown(): Promise<void>;
  /** The event as it was saved. */
  decode(stored: Stored): Event | Promise<Event>;
}

/** Follows the events of a store in memory. */
export class MemoryFollower<Stored extends { readonly sequence: number; readonly actorId: string }>
  implements EventSource {
  readonly #options: EventSubscriptionOptions;
  readonly #kept: MemoryLog<Stored>;

  /** Follows what `options` ask for. */
  constructor(options: EventSubscriptionOptions, kept: MemoryLog<Stored>) {
    this.#options = options;
    this.#kept = kept;
  }

  /** Finds the place to begin at; nothing here is out of reach. */
  start(): Promise<SubscriptionStart> {
    return Promise.resolve().then(() => {
      const { from = "start" } = this.#options;
      const first = from === "now" ? "start" : from;
      const { from: number, filter } = prepareReadAll({ ...this.#options, from: first });
      const reached = this.#kept.end();
      if (number - 1 > reached) {
        throw new StreamRegressedError("the store", number - 1, reached);
      }
      return from === "now"
        ? { after: reached, end: 0 }
        : { after: number - 1, end: this.#last(filter) };
    });
  }

  /** Yields what comes after sequence `after`; waits for saves at the end. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<[Followed], void> {
    const { filter = {} } = this.#options;
    const types = filter.eventTypes && new Set(filter.eventTypes);
    const { log } = this.#kept;
    let at = log.findIndex(({ sequence }) => sequence > after);
    if (at < 0) at = log.length;
    for (;; at++) {
      while (at >= log.length) await unlessAborted(signal, this.#kept.grown());
      const stored = log[at]!;
      if (!isOfActor(filter, stored.actorId)) continue;
      const { sequence } = stored;
      const event = await unlessAborted(signal, Promise.resolve(this.#kept.decode(stored)));
      const isWanted = types === undefined || types.has(event.eventType);
      yield [{ sequence, event: isWanted ? { ...event, sequence } : undefined }];
    }
  }

  #last(filter: EventFilter): number {
    const last = this.#kept.log.findLast(({ actorId }) => isOfActor(filter, actorId));
    return last?.sequence ?? 0;
  }
}
