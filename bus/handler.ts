import { context } from "@opentelemetry/api";
import type { EventHandler, HandlerSubscription } from "./bus.ts";
import { handOut } from "./delivery.ts";
import type { QueuedSubscription } from "./subscription.ts";
import type { BusTracer } from "./trace.ts";
import type { Event } from "../store/event.ts";
import { endSpan } from "../store/telemetry/spans.ts";

/** Feeds a handler from a subscription, one event at a time. */
export class HandlerLoop<E extends Event> implements HandlerSubscription {
  /** Resolves when the handler will not be called again; rejects never. */
  readonly done: Promise<void>;
  readonly #subscription: QueuedSubscription<E>;
  readonly #handler: EventHandler<E>;
  readonly #tracer: BusTracer;
  readonly #onError: (error: unknown, event?: Event) => void;

  /** Begins at once. `onError` must not throw. */
  constructor(
    subscription: QueuedSubscription<E>,
    handler: EventHandler<E>,
    onError: (error: unknown, event?: Event) => void,
    tracer: BusTracer,
  ) {
    this.#subscription = subscription;
    this.#handler = handler;
    this.#onError = onError;
    this.#tracer = tracer;
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

  /** See {@linkcode HandlerSubscription}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#subscription.leave();
    await this.done;
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const delivery = this.#subscription.poll() ?? await this.#subscription.arrival();
        if (delivery === undefined) return;
        const event = handOut(delivery.event) as E;
        const call = this.#tracer.processing(delivery.namespace, event);
        const begun = performance.now();
        let failure: { readonly error: unknown } | undefined;
        try {
          await (call === undefined
            ? this.#handler(event, delivery.namespace)
            : context.with(call.within, () => this.#handler(event, delivery.namespace)));
        } catch (error) {
          failure = { error };
        }
        delivery.counts.handle(begun, failure);
        if (call !== undefined) endSpan(call.span, failure);
        if (failure !== undefined) this.#onError(failure.error, event);
      }
    } catch (error) {
      this.#onError(error);
    }
  }
}
