import type { DropReport, Subscription } from "./bus.ts";
import { type BusDelivery, handOut } from "./delivery.ts";
import { BoundedQueue } from "./queue.ts";
import type { Request } from "./request.ts";
import { SubscriptionOverflowError } from "../store/errors.ts";
import type { Event } from "../store/event.ts";

/** Hooks through which a subscription notifies its bus. */
export interface SubscriptionHooks {
  /** Events begin to get lost. Must not throw. */
  dropping(report: DropReport): void;
  /** Resolves when its source gives it nothing more. Must not reject. */
  leaving(): Promise<void>;
  /** It takes no more events. Called once. */
  ended(): void;
}

/**
 * A subscription on this node: the queue between publishers, which never wait, and one consumer.
 */
export class QueuedSubscription<E extends Event = Event>
  implements Subscription<E>, AsyncIterator<E, undefined> {
  /** The subscriber's request. */
  readonly request: Request;
  /** See {@linkcode Subscription.ready}. */
  ready: Promise<void> = Promise.resolve();
  readonly #hooks: SubscriptionHooks;
  readonly #queue: BoundedQueue<BusDelivery>;
  readonly #waiting: ((delivery: BusDelivery | undefined) => void)[] = [];
  readonly #signal: AbortSignal | undefined;
  #open = true;
  #failure: Error | undefined;
  #thrown = false;
  #behind = false;
  #dropped = 0;

  /** Begins with an empty queue; has ended already if `signal` is aborted. */
  constructor(request: Request, hooks: SubscriptionHooks, signal?: AbortSignal) {
    this.request = request;
    this.#hooks = hooks;
    this.#queue = new BoundedQueue(request.capacity);
    this.#signal = signal;
    if (signal?.aborted) this.#open = false;
    else signal?.addEventListener("abort", this.end);
  }

  /** Whether it still takes events. */
  get open(): boolean {
    return this.#open;
  }

  /** The reason for its end, if nobody asked for it. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** See {@linkcode Subscription.dropped}. */
  get dropped(): number {
    return this.#dropped;
  }

  /** See {@linkcode Subscription.queued}. */
  get queued(): number {
    return this.#queue.size;
  }

  /** How much a new event would have to wait for. */
  get load(): number {
    return this.#waiting.length > 0 ? 0 : this.#queue.size + 1;
  }

  /** Whether the subscriber asked for the actor, by the wildcards within its id. */
  wants(actorId: string): boolean {
    return this.request.actor.matches?.(actorId) ?? true;
  }

  /** Takes `delivery`, or drops an event by the overflow policy. */
  offer(delivery: BusDelivery): void {
    if (!this.#open) return;
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) waiter(delivery);
    else if (this.#queue.full) this.#overflow(delivery);
    else this.#queue.push(delivery);
  }

  #overflow(delivery: BusDelivery): void {
    const { pattern, capacity, overflow } = this.request;
    let lost = delivery;
    if (overflow === "drop-oldest") {
      lost = this.#queue.shift()!;
      this.#queue.push(delivery);
    }
    lost.counts.drop();
    this.#dropped++;
    if (overflow === "error") {
      this.fail(new SubscriptionOverflowError(pattern, capacity));
    } else if (!this.#behind) {
      this.#behind = true;
      this.#hooks.dropping({ pattern, overflow, capacity, dropped: this.#dropped });
    }
  }

  /**
   * Takes the delivery that has waited longest, and counts it as delivered; `undefined` if none
   * waits.
   */
  poll(): BusDelivery | undefined {
    const delivery = this.#queue.shift();
    if (delivery === undefined) return undefined;
    if (!this.#open && this.#queue.size === 0) this.#release();
    delivery.counts.deliver(delivery.since);
    return delivery;
  }

  /** The next delivery, if `poll` has none; `undefined` at the end. */
  async arrival(): Promise<BusDelivery | undefined> {
    if (this.#open) {
      this.#behind = false;
      const delivery = await new Promise<BusDelivery | undefined>((resolve) =>
        this.#waiting.push(resolve)
      );
      delivery?.counts.deliver(delivery.since);
      if (delivery !== undefined) return delivery;
    }
    if (this.#failure === undefined || this.#thrown) return undefined;
    this.#thrown = true;
    throw this.#failure;
  }

  /** See `AsyncIterator.next`. */
  next(): Promise<IteratorResult<E, undefined>> {
    const delivery = this.poll();
    return delivery === undefined
      ? this.arrival().then(resultOf<E>)
      : Promise.resolve(resultOf<E>(delivery));
  }

  /** The caller left its loop: the subscription ends. */
  return(): Promise<IteratorResult<E, undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** See {@linkcode Subscription}. */
  [Symbol.asyncIterator](): AsyncIterator<E, undefined> {
    return this;
  }

  /**
   * Ends it in good order. What a group was given for this member goes to no other one: it can
   * still be taken. Without a group, as {@linkcode QueuedSubscription.end}.
   */
  async leave(): Promise<void> {
    if (this.request.group === undefined) return this.end();
    if (this.#open) await this.#hooks.leaving();
    this.finish();
  }

  /** Takes no more events; queued ones can still be taken. */
  finish(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#queue.size === 0) this.#release();
    for (const waiter of this.#waiting.splice(0)) waiter(undefined);
    this.#hooks.ended();
  }

  /** Takes no more events; throws `failure` once, after the queued ones. */
  fail(failure: Error): void {
    if (!this.#open) return;
    this.#failure = failure;
    this.finish();
  }

  /** Takes no more events and drops queued ones. */
  end = (): void => {
    this.finish();
    this.#thrown = true;
    this.#queue.clear();
    this.#release();
  };

  /** A long-lived signal must not keep a subscription that is over. */
  #release(): void {
    this.#signal?.removeEventListener("abort", this.end);
  }

  /** See {@linkcode Subscription}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }
}

function resultOf<E extends Event>(
  delivery: BusDelivery | undefined,
): IteratorResult<E, undefined> {
  return delivery === undefined
    ? { done: true, value: undefined }
    : { done: false, value: handOut(delivery.event) as E };
}
