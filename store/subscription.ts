import { categoryOf } from "./actor.ts";
import { unlessAborted } from "./base/abort.ts";
import type { Event, RecordedEvent } from "./event.ts";
import type { EventFilter } from "./options.ts";
import type { EventSubscription } from "./store.ts";

/** The place at which a subscription begins. */
export interface SubscriptionStart {
  /** The sequence before the first one wanted. */
  readonly after: number;
  /** The sequence at which it has caught up. */
  readonly end: number;
}

/** A place in the store's order, with its event if the filter takes it. */
export interface Followed {
  readonly sequence: number;
  readonly event: RecordedEvent | undefined;
  /** The event there, if the filter does not take it. */
  readonly unwanted?: PassedEvent;
}

/** An event that a reader has passed without a look at its content. */
export interface PassedEvent {
  readonly sequence: number;
  readonly id: string;
  readonly actorId: string;
}

/**
 * Calls `onPassed` with each event that the filter of `subscription` leaves out, in order with those
 * that it yields. A subscription of a store that is not this library's reports none.
 */
export function watchPassed(
  subscription: EventSubscription,
  onPassed: (event: PassedEvent) => void,
): void {
  if (subscription instanceof SourceSubscription) subscription.onPassed = onPassed;
}

/** A store, as a subscription sees it. */
export interface EventSource {
  /** Finds the place to begin at, when the subscription is made. */
  start(signal: AbortSignal): Promise<SubscriptionStart>;
  /** Yields what comes after a sequence, in order, as it arrives; waits for more at the end. */
  follow(
    after: number,
    signal: AbortSignal,
  ): AsyncIterable<Iterable<Followed | Promise<Followed>>>;
}

/** Whether the filter can take an event of this actor. */
export function isOfActor(filter: EventFilter, actorId: string): boolean {
  if (filter.actorId !== undefined && filter.actorId !== actorId) return false;
  return filter.category === undefined || filter.category === categoryOf(actorId);
}

/** Counts subscriptions and the events that they yield. */
export interface SubscriptionWatch {
  /** One began (1) or ended (-1). */
  subscriptions(change: 1 | -1): void;
  /** One yielded an event. */
  deliver(): void;
}

/** The subscriptions of one store. */
export class Subscriptions {
  readonly #watch: SubscriptionWatch;
  readonly #open = new Set<SourceSubscription>();

  /** Reports each to `watch`. */
  constructor(watch: SubscriptionWatch) {
    this.#watch = watch;
  }

  /** Subscribes to `source`; if `check` throws, the iteration rejects with its error. */
  add<E extends Event>(
    source: EventSource,
    signal: AbortSignal | undefined,
    check: () => void,
  ): EventSubscription<E> {
    const start = async (stop: AbortSignal) => {
      check();
      return await source.start(stop);
    };
    const follow = source.follow.bind(source);
    const subscription = new SourceSubscription({ start, follow }, signal, this.#watch, () => {
      this.#open.delete(subscription);
      this.#watch.subscriptions(-1);
    });
    this.#open.add(subscription);
    this.#watch.subscriptions(1);
    return subscription as EventSubscription as EventSubscription<E>;
  }

  /** Ends them all. */
  async end(): Promise<void> {
    const ends = [...this.#open].map((subscription) => subscription[Symbol.asyncDispose]());
    await Promise.all(ends);
  }
}

/** A subscription to any source: begins, catches up, and ends in each of the ways. */
class SourceSubscription implements EventSubscription {
  readonly caughtUp: Promise<void>;
  /** See {@linkcode watchPassed}; must not throw. */
  onPassed: ((event: PassedEvent) => void) | undefined;
  readonly #source: EventSource;
  readonly #start: Promise<SubscriptionStart>;
  readonly #caughtUp = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #watch: SubscriptionWatch;
  readonly #onEnd: () => void;
  readonly #events: AsyncGenerator<RecordedEvent, undefined>;
  readonly #iterator: AsyncIterableIterator<RecordedEvent, undefined> = {
    next: () => this.#events.next(),
    return: () => this.#leave(),
    [Symbol.asyncIterator]: () => this.#iterator,
  };
  #ended = false;
  readonly #abort = (): void => this.#stop.abort(this.#signal?.reason);

  constructor(
    source: EventSource,
    signal: AbortSignal | undefined,
    watch: SubscriptionWatch,
    onEnd: () => void,
  ) {
    this.caughtUp = this.#caughtUp.promise;
    this.caughtUp.catch(() => {}); // A caller that awaits it sees the error.
    this.#source = source;
    this.#signal = signal;
    this.#watch = watch;
    this.#onEnd = onEnd;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort);
    this.#start = unlessAborted(this.#stop.signal, this.#begin());
    this.#start.catch((error) => this.#end(error)); // The iteration rejects with it.
    this.#events = this.#run();
  }

  [Symbol.asyncIterator](): AsyncIterator<RecordedEvent, undefined> {
    return this.#iterator;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leave();
  }

  /** Ends it also if it has not begun: the generator alone would return without a word then. */
  async #leave(): Promise<IteratorResult<RecordedEvent, undefined>> {
    this.#stop.abort(left());
    const end = await this.#events.return(undefined);
    this.#end(this.#stop.signal.reason);
    return end;
  }

  async #begin(): Promise<SubscriptionStart> {
    this.#stop.signal.throwIfAborted();
    const start = await this.#source.start(this.#stop.signal);
    if (start.end <= start.after) this.#caughtUp.resolve();
    return start;
  }

  async *#run(): AsyncGenerator<RecordedEvent, undefined> {
    const { signal } = this.#stop;
    let failure: unknown;
    try {
      const { after, end } = await this.#start;
      for await (const part of this.#source.follow(after, signal)) {
        for (const followed of part) {
          const { sequence, event, unwanted } = followed instanceof Promise
            ? await unlessAborted(signal, followed)
            : followed;
          if (signal.aborted) return;
          try {
            if (event !== undefined) {
              this.#watch.deliver();
              yield event;
            } else if (unwanted !== undefined) this.onPassed?.(unwanted);
          } finally {
            if (sequence >= end) this.#caughtUp.resolve();
          }
          if (signal.aborted) return;
        }
      }
    } catch (error) {
      failure = error;
      if (!signal.aborted) throw error;
    } finally {
      this.#end(failure ?? (signal.aborted ? signal.reason : undefined));
    }
  }

  #end(reason: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#caughtUp.reject(reason ?? left());
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#onEnd();
  }
}

/** Why it never catches up. */
function left(): DOMException {
  return new DOMException("The subscription ended before it had caught up", "AbortError");
}
