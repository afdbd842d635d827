import { unlessAborted } from "../base/abort.ts";
import { prepareReadAll, queryAsGiven } from "../check/query.ts";
import { StreamRegressedError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { KeptEvent, MemoryLog } from "./log.ts";
import type { EventFilter, EventSubscriptionOptions } from "../options.ts";
import {
  type EventSource,
  type Followed,
  isOfActor,
  type SubscriptionStart,
} from "../subscription.ts";

/** Follows the events of a store in memory. */
export class MemoryFollower implements EventSource {
  readonly #options: EventSubscriptionOptions;
  readonly #log: MemoryLog;
  readonly #decode: (stored: KeptEvent) => Event | Promise<Event>;

  /** Follows what `options` ask for at present. */
  constructor(
    options: EventSubscriptionOptions,
    log: MemoryLog,
    decode: (stored: KeptEvent) => Event | Promise<Event>,
  ) {
    this.#options = queryAsGiven(options);
    this.#log = log;
    this.#decode = decode;
  }

  /** Finds the place to begin at; nothing here is out of reach. */
  start(): Promise<SubscriptionStart> {
    return Promise.resolve().then(() => {
      const { from = "start" } = this.#options;
      const first = from === "now" ? "start" : from;
      const { from: number, filter } = prepareReadAll({ ...this.#options, from: first });
      const reached = this.#log.end;
      if (number - 1 > reached) {
        throw new StreamRegressedError("the store", number - 1, reached);
      }
      return from === "now"
        ? { after: reached, end: 0 }
        : { after: number - 1, end: this.#last(filter) };
    });
  }

  /** Yields what comes after position `after`; waits for saves at the end. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<[Followed], void> {
    const { filter = {} } = this.#options;
    const types = filter.eventTypes && new Set(filter.eventTypes);
    const { events } = this.#log;
    for (let at = this.#log.indexOf(after + 1);; at++) {
      while (at >= events.length) await unlessAborted(signal, this.#log.grown);
      const stored = events[at]!;
      if (!isOfActor(filter, stored.actorId)) continue;
      const { sequence, commit, eventType, id, actorId } = stored;
      if (types !== undefined && !types.has(eventType)) {
        yield [{ sequence, event: undefined, unwanted: { sequence, id, actorId } }];
        continue;
      }
      const event = await unlessAborted(signal, Promise.resolve(this.#decode(stored)));
      yield [{ sequence, event: { ...event, sequence, commit } }];
    }
  }

  #last(filter: EventFilter): number {
    const last = this.#log.events.findLast(({ actorId }) => isOfActor(filter, actorId));
    return last?.sequence ?? 0;
  }
}
