import { categoryOf } from "../../store/actor.ts";
import { isUnreadable } from "../../store/projection/arrival.ts";
import type { RecordedEvent } from "../../store/event.ts";
import { messageOf } from "../../store/base/text.ts";
import type { EventStore } from "../../store/store.ts";
import { jsonOfView, viewOf } from "./actor.ts";
import { type LiveStream, messageOf as messageBytes, MOST_WAITING } from "../http/streams.ts";
import type { EventView } from "../views/actor.ts";
import type { TailEvents } from "../views/tail.ts";

/** How often events go out, in ms, and how often that is in a second. */
const [EVERY, TIMES] = [100, 10];

/** The events that one tail shows. */
export interface TailFilter {
  readonly category: string | undefined;
  readonly eventTypes: ReadonlySet<string> | undefined;
  /** In lower case. */
  readonly text: string | undefined;
  /** Events that are sent in a second at most. */
  readonly perSecond: number;
}

/** An event on its way to all tails; what they need of it is made once, if one of them does. */
class TailedEvent {
  readonly view: EventView;
  readonly category: string;
  #json: string | undefined;
  #text: string | undefined;
  #bytes: Uint8Array | undefined;

  constructor(view: EventView) {
    this.view = view;
    this.category = categoryOf(view.actorId);
  }

  get #asJson(): string {
    return this.#json ??= jsonOfView(this.view);
  }

  /** In lower case, to look texts up in. */
  get text(): string {
    return this.#text ??= this.#asJson.toLowerCase();
  }

  /** The message. */
  get bytes(): Uint8Array {
    return this.#bytes ??= messageBytes("event", this.#asJson);
  }
}

/** One reader of the tail. */
class Tail {
  readonly #stream: LiveStream;
  readonly #filter: TailFilter;
  /** The events that go out next. */
  #waiting: Uint8Array[] = [];
  #size = 0;
  /** Events that may still go out: so many a second, none of which is saved up for longer. */
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
    if (this.#left < 1) {
      this.#sampled++;
      return;
    }
    this.#left--;
    const { bytes } = event;
    if (this.#size > 0 && this.#size + bytes.length > MOST_WAITING) {
      this.#slow++;
      return;
    }
    this.#size += bytes.length;
    this.#waiting.push(bytes);
  }

  /** Lets out what has come since the last time. */
  flush(): void {
    const { perSecond } = this.#filter;
    // After a rest a whole second's events may come at once.
    this.#left = Math.min(perSecond, this.#left + perSecond / TIMES);
    if (this.#waiting.length === 0) return;
    if (!this.#stream.sendBytes(this.#waiting)) this.#slow += this.#waiting.length;
    this.#waiting = [];
    this.#size = 0;
  }

  #isWanted(event: TailedEvent): boolean {
    const { category, eventTypes, text } = this.#filter;
    return (category === undefined || event.category === category) &&
      (eventTypes === undefined || eventTypes.has(event.view.eventType)) &&
      (text === undefined || event.text.includes(text));
  }

  /** Says what was left out. */
  #beat(): void {
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
  #timer: ReturnType<typeof setInterval> | undefined;
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
    this.#timer ??= setInterval(() => {
      for (const it of this.#tails) it.flush();
    }, EVERY);
    const { promise, resolve } = Promise.withResolvers<void>();
    stream.signal.addEventListener("abort", () => resolve(), { once: true });
    if (stream.signal.aborted) resolve();
    try {
      stream.send("ready", { identity: this.#store.identity });
      // The subscription ends by itself only if it fails, or the store is disposed.
      await Promise.race([promise, following.done]);
    } finally {
      this.#tails.delete(tail);
      if (this.#tails.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
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
