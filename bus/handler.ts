import type { Event } from "../store/event.ts";
import type { EventHandler, HandlerSubscription } from "./bus.ts";
import { type Delivery, handOut } from "./delivery.ts";
import type { QueuedSubscription } from "./subscription.ts";

/** Feeds a handler from a subscription, one event at a time. */
export class HandlerLoop<E extends Event> implements HandlerSubscription {
  /** Resolves when the handler will not be called again; rejects never. */
  readonly done: Promise<void>;
  readonly #subscription: QueuedSubscription<E>;
  readonly #handler: EventHandler<E>;
  readonly #onError: (error: unknown, event?: Event, delivery?: Delivery) => void;

  /** Begins at once. `onError` must not throw. */
  constructor(
    subscription: QueuedSubscription<E>,
    handler: EventHandler<E>,
    onError: (error: unknown, event?: Event, delivery?: Delivery) => void,
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
        const delivery = this.#subscription.poll() ?? await this.#subscription.arrival();
        if (delivery === undefined) return;
        const event = handOut(delivery.event) as E;
        try {
          await this.#handler(event, delivery.namespace);
        } catch (error) {
          this.#onError(error, event, delivery);
        }
      }
    } catch (error) {
      this.#onError(error);
    }
  }
}
