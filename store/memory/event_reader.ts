import type { Event } from "../event.ts";
import { contentOf, type EventDecoder } from "../format/decode.ts";
import type { KeptEvent } from "./log.ts";

/** Reads events as they are kept in memory. */
export class MemoryEventReader {
  readonly #decoder: EventDecoder;

  /** Reads by `decoder`. */
  constructor(decoder: EventDecoder) {
    this.#decoder = decoder;
  }

  /**
   * The event for one reader. Its body is parsed once, and each reader gets a copy that is its own to
   * change, as on a server: were events frozen instead, a test could fail where the real store works.
   */
  one(stored: KeptEvent): Event | Promise<Event> {
    if (stored.original !== undefined) return this.#decoder.copyOf(stored.original, stored);
    const { id, eventType, time } = stored;
    const content = contentOf(stored.body);
    const facts = { ...stored, rest: () => ({ id, eventType, timestamp: new Date(time) }) };
    stored.original = this.#decoder.original(content, facts);
    return stored.original === undefined
      ? this.#decoder.decode(content, facts)
      : this.#decoder.copyOf(stored.original, stored);
  }

  /** See {@linkcode EventDecoder.end}. */
  end(): void {
    this.#decoder.end();
  }

  /** All at once, for a promise for each event would take longer than the events. */
  async all(stored: readonly KeptEvent[]): Promise<Event[]> {
    const events = stored.map((event) => this.one(event));
    const isLater = events.some((event) => event instanceof Promise);
    return isLater ? await Promise.all(events) : events as Event[];
  }
}
