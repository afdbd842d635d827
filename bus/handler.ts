import type { Event } from "../store/event.ts";
import type { EventHandler, HandlerSubscription } from "./bus.ts";
import type { QueuedSubscription } from "./subscription.ts";

/** Feeds a handler from a subscription, one event at a time. */
export class HandlerLoop<E extends Event> implements HandlerSubscription {
  /** Resolves when the handler will not be called again; rejects never. */
  readonly done: Promise<void>;
  readonly #subscription: QueuedSubscription<E>;
  readonly #handler: EventHandler<E>;
  readonly #onError: (error: unknown, event?: Event, namespace?: string) => void;

  /** Begins at once. `onError` must not throw. */
  constructor(
    subscription: QueuedSubscription<E>,
    handler: EventHandler<E>,
    onError: (error: unknown, event?: Event, namespace?: string) => void,
  ) {
    this.#subscription = subscription;
    this.#handler = handler;
    this.#onError = onError;
    this.done = this.#run();
  }

  /** See {@linkcode HandlerSubscription.ready}. */
  get ready(): Promise<void> {
    return this.#subscription.ready;
  }

  /** See {@linkcode HandlerSubscription.dropped}. */
  get dropped(): number {
    return this.#subscription.dropped;
  }

  /** See {@linkcode HandlerSubscription.queued}. */
  get queued(): number {
    return this.#subscription.queued;
  }

  /** Ends it; waits for the call under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription.end();
    await this.done;
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const taken = await this.#subscription.take();
        if (taken === undefined) return;
        try {
          await this.#handler(taken.event, taken.namespace);
        } catch (error) {
          this.#onError(error, taken.event, taken.namespace);
        }
      }
    } catch (error) {
      this.#onError(error);
    }
  }
}
