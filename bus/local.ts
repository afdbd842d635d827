import { needObject, needOptionalFunctions } from "../store/base/given.ts";
import type {
  EventBus,
  EventBusOptions,
  EventHandler,
  HandlerOptions,
  HandlerSubscription,
  SubscribeOptions,
  Subscription,
} from "./bus.ts";
import { sealEvent } from "./delivery.ts";
import { Hub } from "./hub.ts";
import { LocalDelivery } from "./local_delivery.ts";
import type { BusMetrics } from "./metrics.ts";
import { parseNamespace } from "./pattern.ts";
import { LEAST_MESSAGE, MAX_BYTES } from "../store/check/events.ts";
import { checkRange } from "../store/check/query.ts";
import type { Event } from "../store/event.ts";

/** Options for {@linkcode LocalEventBus}. */
export interface LocalEventBusOptions extends EventBusOptions {
  /** Bytes that one event with its headers may take, as a server's `max_payload`; 2,304 or more. @default {1048576} */
  readonly maxBytes?: number;
}

/**
 * An {@linkcode EventBus} within one process: no server, the same promises. It refuses what the
 * NATS bus refuses, so that a test on it is valid for both.
 *
 * @example A handler for one type of event
 * ```ts
 * import { createEvent, LocalEventBus } from "@flowmade-one/aether";
 *
 * await using bus = new LocalEventBus(); // Deno, or Node 24 and newer
 * bus.on("orders", (event) => console.log(event.actorId), { eventTypes: ["OrderPlaced"] });
 * await bus.publish(
 *   "orders",
 *   createEvent({ eventType: "OrderPlaced", actorId: "order-7", version: 1, data: null }),
 * );
 * ```
 */
export class LocalEventBus implements EventBus {
  readonly #local = new LocalDelivery();
  readonly #hub: Hub;
  readonly #maxBytes: number;

  /**
   * Begins without subscribers.
   *
   * @throws {RangeError} `maxBytes` is out of its range.
   * @throws {TypeError} An option is of another kind.
   */
  constructor(options: LocalEventBusOptions = {}) {
    needObject(options, "make the bus", "options");
    needOptionalFunctions(options, ["onDrop", "onError"], "make the bus");
    this.#hub = new Hub("aether", (subscription) => this.#local.add(subscription), options);
    const { maxBytes = MAX_BYTES } = options;
    checkRange("maxBytes", maxBytes, LEAST_MESSAGE, Number.MAX_SAFE_INTEGER, "the event bus");
    this.#maxBytes = maxBytes;
  }

  /** See {@linkcode EventBus.metrics}. */
  get metrics(): BusMetrics {
    return this.#hub.meter.snapshot();
  }

  /** See {@linkcode EventBus.publish}. */
  // deno-lint-ignore require-await -- so that errors reject
  async publish(namespace: string, event: Event): Promise<void> {
    this.#hub.assertOpen("publish");
    const parsed = parseNamespace(namespace);
    this.#hub.traced(namespace, event, (traced) => {
      const sealed = sealEvent(traced, this.#maxBytes);
      this.#hub.meter.of(namespace, sealed.eventType).publish();
      this.#local.deliver(parsed, sealed, this.#hub.meter);
    });
  }

  /** See {@linkcode EventBus.subscribe}. */
  subscribe<E extends Event = Event>(
    pattern: string,
    options: SubscribeOptions = {},
  ): Subscription<E> {
    return this.#hub.subscribe<E>(pattern, options);
  }

  /** See {@linkcode EventBus.on}. */
  on<E extends Event = Event>(
    pattern: string,
    handler: EventHandler<E>,
    options: HandlerOptions = {},
  ): HandlerSubscription {
    return this.#hub.on(pattern, handler, options);
  }

  /** Ends all subscriptions: see {@linkcode EventBus}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hub.close();
  }
}
