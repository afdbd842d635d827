import { categoryOf } from "../../store/actor.ts";
import { isUnreadable } from "../../store/projection/arrival.ts";
import type { RecordedEvent } from "../../store/event.ts";
import { messageOf } from "../../store/base/text.ts";
import type { EventStore } from "../../store/store.ts";
import { viewOf } from "./actor.ts";
import type { LiveStream } from "../http/streams.ts";
import type { EventView } from "../views/actor.ts";
import type { TailEvents } from "../views/tail.ts";

/** What one tail shows. */
export interface TailFilter {
  readonly category: string | undefined;
  readonly eventTypes: ReadonlySet<string> | undefined;
  /** In lower case. */
  readonly text: string | undefined;
  /** Events that are sent in a second at most. */
  readonly perSecond: number;
}

/** An event on its way to all tails; its text is made once, if one of them wants it. */
class TailedEvent {
  readonly view: EventView;
  #json: string | undefined;
  #text: string | undefined;

  constructor(view: EventView) {
    this.view = view;
  }

  get json(): string {
    return this.#json ??= JSON.stringify(this.view);
  }

  /** In lower case, to look texts up in. */
  get text(): string {
    return this.#text ??= this.json.toLowerCase();
  }
}

/** One reader of the tail. */
class Tail {
  readonly #stream: LiveStream;
  readonly #filter: TailFilter;
  /** Events that may still be sent in this second, and those that were left out. */
  #left: number;
  #sampled = 0;
  #slow = 0;

  constructor(stream: LiveStream, filter: TailFilter) {
    this.#stream = stream;
    this.#filter = filter;
    this.#left = filter.perSecond;
    stream.onBeat(() => this.#beat());
  }

  take(event: TailedEvent): void {
    if (!this.#isWanted(event)) return;
    if (this.#left <= 0) {
      this.#sampled++;
      return;
    }
    this.#left--;
    if (!this.#stream.sendText("event", event.json)) this.#slow++;
  }

  #isWanted(event: TailedEvent): boolean {
    const { category, eventTypes, text } = this.#filter;
    const { actorId, eventType } = event.view;
    return (category === undefined || categoryOf(actorId) === category) &&
      (eventTypes === undefined || eventTypes.has(eventType)) &&
      (text === undefined || event.text.includes(text));
  }

  /** Says what was left out. */
  #beat(): void {
    this.#left = this.#filter.perSecond;
    if (this.#sampled > 0 && this.#say({ count: this.#sampled, reason: "rate" })) this.#sampled = 0;
    if (this.#slow > 0 && this.#say({ count: this.#slow, reason: "slow" })) this.#slow = 0;
  }

  #say(skipped: TailEvents["skipped"]): boolean {
    return this.#stream.send("skipped", skipped);
  }
}

/** All tails of one inspector, over one subscription that is there while any of them is. */
export class Tails {
  readonly #store: EventStore;
  readonly #tails = new Set<Tail>();
  #following: { readonly ends: AbortController; readonly done: Promise<void> } | undefined;
  #seen = 0;

  /** Follows nothing yet. */
  constructor(store: EventStore) {
    this.#store = store;
  }

  /** Events seen so far; `undefined` while nobody follows. */
  get seen(): number | undefined {
    return this.#following === undefined ? undefined : this.#seen;
  }

  /** Feeds a stream until it ends. */
  async follow(stream: LiveStream, filter: TailFilter): Promise<void> {
    const tail = new Tail(stream, filter);
    this.#tails.add(tail);
    const following = this.#following ??= this.#begin();
    const { promise, resolve } = Promise.withResolvers<void>();
    stream.signal.addEventListener("abort", () => resolve(), { once: true });
    if (stream.signal.aborted) resolve();
    try {
      stream.send("ready", { identity: this.#store.identity });
      // The subscription ends by itself only if it fails, or the store is disposed.
      await Promise.race([promise, following.done]);
    } finally {
      this.#tails.delete(tail);
      if (this.#tails.size === 0 && this.#following === following) {
        this.#following = undefined;
        following.ends.abort();
      }
    }
  }

  #begin(): { readonly ends: AbortController; readonly done: Promise<void> } {
    const ends = new AbortController();
    const done = this.#run(ends.signal);
    const following = { ends, done };
    const over = () => {
      if (this.#following === following) this.#following = undefined;
    };
    done.then(over, over);
    return following;
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let from: "now" | number = "now"; !signal.aborted;) {
      try {
        for await (const event of this.#store.subscribe({ from, signal })) {
          this.#hand(viewOf(event as RecordedEvent));
        }
        return;
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        const { actorId = "", id = "", eventType = "", version = 0 } = error.event ?? {};
        const { sequence } = error;
        this.#hand({ sequence, id, eventType, actorId, version, error: messageOf(error) });
        from = sequence + 1;
      }
    }
  }

  #hand(view: EventView): void {
    this.#seen++;
    const event = new TailedEvent(view);
    for (const tail of this.#tails) tail.take(event);
  }
}
