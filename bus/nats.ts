import { needObject, needOptionalFunctions } from "../store/base/given.ts";
import { needConnection } from "../store/nats/open.ts";
import type {
  EventBus,
  EventBusOptions,
  EventHandler,
  HandlerOptions,
  HandlerSubscription,
  SubscribeOptions,
  Subscription,
} from "./bus.ts";
import { ConnectionWatch, reachServer } from "./connection_watch.ts";
import { sealEvent } from "./delivery.ts";
import { type Attachment, Hub } from "./hub.ts";
import { LocalDelivery } from "./local_delivery.ts";
import type { BusMetrics } from "./metrics.ts";
import { Outbox } from "./outbox.ts";
import { parseNamespace } from "./pattern.ts";
import { ServerSubscriptions } from "./server_subscriptions.ts";
import { addressOf, subjectOf } from "./subject.ts";
import type { QueuedSubscription } from "./subscription.ts";
import { MAX_BYTES } from "../store/check/events.ts";
import type { Connection } from "../store/connection.ts";
import type { Event } from "../store/event.ts";

/**
 * Reports that the connection was lost for a while: events that others published meanwhile did not
 * arrive.
 */
export interface ReconnectReport {
  /** How long, in ms. */
  readonly away: number;
}

/** Options for {@linkcode NatsEventBus}. */
export interface NatsEventBusOptions extends EventBusOptions {
  /** Called after each reconnect; all subscriptions exist again. @default {console.warn} */
  readonly onReconnect?: (report: ReconnectReport) => void;
}

/**
 * An {@linkcode EventBus} over core NATS: reaches subscribers on this node directly, and those on
 * other nodes through the server, which matches namespaces, types and exact actors.
 *
 * At most once: an event that is published while the connection of its publisher or of a subscriber
 * is down does not arrive there. The bus stores nothing, and never listens to streams of events.
 *
 * On the wire an event is JSON, as in the store, on `aether-bus.<eventType>.<actor>.<namespace…>`
 * with each token encoded: letters, digits, `_` and `-` as they are, other bytes as `=HH`. The
 * reply subject names the publishing bus, so that the bus recognises its own events; nothing
 * listens there.
 *
 * @example A node's bus
 * ```ts ignore
 * import { connect } from "@nats-io/transport-node";
 * import { NatsEventBus } from "@flowmade-one/aether";
 *
 * const connection = await connect({ maxReconnectAttempts: -1 });
 * await using bus = new NatsEventBus(connection); // Deno, or Node 24 and newer
 * for await (const event of bus.subscribe("orders")) console.log(event.actorId);
 * ```
 */
export class NatsEventBus implements EventBus {
  readonly #connection: Connection;
  readonly #mark = `aether-bus-by.${crypto.randomUUID().replaceAll("-", "")}`;
  readonly #local = new LocalDelivery();
  readonly #hub: Hub;
  readonly #wire: ServerSubscriptions;
  readonly #watch: ConnectionWatch;
  readonly #outbox: Outbox;
  /** Subscriptions that the server may still refuse. */
  readonly #unconfirmed = new Set<QueuedSubscription>();
  #maxBytes = MAX_BYTES;

  /** Uses `connection`; the caller closes it, after the bus. */
  constructor(connection: Connection, options: NatsEventBusOptions = {}) {
    needConnection(connection, "make the bus");
    needObject(options, "make the bus", "options");
    needOptionalFunctions(options, ["onDrop", "onError", "onReconnect"], "make the bus");
    const onReconnect = options.onReconnect?.bind(options) ?? warnOfGap;
    this.#connection = connection;
    this.#hub = new Hub("nats", (subscription) => this.#attach(subscription), options);
    this.#wire = new ServerSubscriptions(connection, this.#mark, this.#hub.meter);
    this.#outbox = new Outbox(connection, this.#mark, (error) => this.#hub.report(error));
    this.#watch = new ConnectionWatch(connection, {
      reconnected: (away) => this.#hub.guard(() => onReconnect({ away })),
      refused: (error, subject) => {
        const address = addressOf(subject);
        if (address === undefined) return;
        this.#hub.meter.of(address.namespace, address.eventType).refuse();
        this.#hub.report(error);
      },
      limited: (error) => this.#limited(error),
      closed: (error) => this.#hub.end(error),
    });
  }

  /** See {@linkcode EventBus.metrics}. */
  get metrics(): BusMetrics {
    return this.#hub.meter.snapshot();
  }

  /**
   * See {@linkcode EventBus.publish}. Resolves when the transport has the event; if over 1 MiB is
   * on the way, when the server has confirmed some of it.
   */
  async publish(namespace: string, event: Event): Promise<void> {
    this.#hub.assertOpen("publish");
    const parsed = parseNamespace(namespace);
    this.#maxBytes = this.#connection.info?.max_payload ?? this.#maxBytes;
    const held = this.#hub.traced(namespace, event, (traced) => {
      const sealed = sealEvent(traced, this.#maxBytes);
      const { eventType, actorId, body } = sealed;
      const held = this.#outbox.send(subjectOf(parsed, eventType, actorId), body);
      this.#hub.meter.of(namespace, eventType).publish();
      this.#local.deliver(parsed, sealed, this.#hub.meter);
      return held;
    });
    if (held !== undefined) await held;
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

  /** Ends all subscriptions: see {@linkcode EventBus}. The connection stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#outbox.flush();
    this.#watch.stop();
    await this.#hub.close();
  }

  #attach(subscription: QueuedSubscription): Attachment {
    const grouped = subscription.request.group !== undefined;
    if (grouped && withoutEcho(this.#connection)) {
      throw new TypeError(
        "Cannot subscribe with a queue: the connection has noEcho, so that what this node " +
          "publishes could not be shared out",
      );
    }
    const ties = [this.#wire.add(subscription)];
    if (!grouped) ties.push(this.#local.add(subscription));
    subscription.ready = this.#ready(subscription);
    subscription.ready.catch(() => {}); // a caller that awaits it gets the error; others need not
    return {
      end: () => ties.forEach((tie) => tie.end()),
      leave: async () => void await Promise.all(ties.map((tie) => tie.leave())),
    };
  }

  async #ready(subscription: QueuedSubscription): Promise<void> {
    this.#unconfirmed.add(subscription);
    try {
      // The answer to a second request comes behind the report of a refusal before the first.
      await reachServer(this.#connection);
      await reachServer(this.#connection);
    } finally {
      this.#unconfirmed.delete(subscription);
    }
    if (subscription.failure !== undefined) throw subscription.failure;
  }

  /**
   * The server takes no more subscriptions of this connection, and does not name the one that it
   * refused: those that it has not confirmed yet count as refused.
   */
  #limited(error: Error): void {
    if (this.#unconfirmed.size === 0) return this.#hub.report(error);
    for (const subscription of [...this.#unconfirmed]) subscription.fail(error);
  }
}

function withoutEcho(connection: Connection): boolean {
  return (connection as { options?: { noEcho?: boolean } }).options?.noEcho === true;
}

function warnOfGap({ away }: ReconnectReport): void {
  console.warn(
    `Event bus is back after ${Math.round(away)} ms: events of other nodes may be missing`,
  );
}
