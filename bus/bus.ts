import type { BusMetrics } from "./metrics.ts";
import type { Event } from "../store/event.ts";

/** How a subscription treats an event that finds its queue full. */
export type OverflowPolicy = "drop-oldest" | "drop-newest" | "error";

/** Options for {@linkcode EventBus.subscribe}. */
export interface SubscribeOptions {
  /** Only events of these types; at least one. @default {all types} */
  readonly eventTypes?: readonly string[];
  /**
   * Only events of these actors: an actor's id, in which `*` matches any run of characters, an
   * empty one too, and a last token `>` (alone or after a dot) one character or more: `order-*`,
   * `*`, `tenant-7.>`. @default {all actors}
   */
  readonly actorPattern?: string;
  /**
   * Takes the namespace and `actorPattern` literally: `*` and `>` match themselves only. For names
   * that come from outside, which could otherwise reach too far.
   *
   * @default {false}
   */
  readonly exact?: boolean;
  /**
   * The name of a group: each event goes to one of those matching subscriptions, on any node,
   * that share the name and the `actorPattern`. {@linkcode LocalEventBus} chooses the member with
   * the shortest queue. Over NATS the server chooses at random and sees no queue: a member that is
   * stuck gets its share all the same, and drops what is over its `capacity`. The connection must not
   * have `noEcho`.
   *
   * A member that is disposed, or whose bus is, leaves in good order: what it was given goes to no
   * other, so its handler or loop still gets it. One that leaves by `signal` or `break` drops that.
   *
   * @default {none: each subscription gets its copy}
   */
  readonly queue?: string;
  /** How many events may wait for this subscriber. @default {65536} */
  readonly capacity?: number;
  /**
   * The event that is dropped when the queue is full: the oldest in it, the newest, or none. With
   * `"error"` the subscription yields the queued events and then throws
   * {@linkcode SubscriptionOverflowError}. The publisher never notices. @default {"drop-oldest"}
   */
  readonly overflow?: OverflowPolicy;
  /** Ends the subscription quietly, at once; drops queued events. */
  readonly signal?: AbortSignal;
}

/** Options for {@linkcode EventBus.on}. */
export interface HandlerOptions extends SubscribeOptions {
  /**
   * Gets the errors that the handler throws, with the event; and an overflow under the policy
   * `"error"`, without one, after which the handler is not called again.
   *
   * @default {the bus's own `onError`}
   */
  readonly onError?: (error: unknown, event?: Event) => void;
}

/** Handles one event of `namespace`; the next one waits until the promise has settled. */
export type EventHandler<E extends Event = Event> = (
  event: E,
  namespace: string,
) => void | PromiseLike<void>;

/**
 * A stream of events for one consumer, in the order of each publisher, from the return of
 * `subscribe` on. It ends on `break`, on its `signal`, on disposal (at once, but see `queue`), and
 * on disposal of the bus (after the events queued by then). Events are deeply frozen.
 */
export interface Subscription<E extends Event = Event> extends AsyncIterable<E>, AsyncDisposable {
  /**
   * Resolves when the server that this node is connected to knows of the subscription: events that
   * others publish there from now on arrive. Rejects if that can no longer happen, with the reason
   * if the server refused it: no permission, or as many subscriptions as the connection may have. Events that
   * *this* bus publishes arrive even before.
   */
  readonly ready: Promise<void>;
  /** Events that were dropped because the queue was full. */
  readonly dropped: number;
  /** Events that wait in the queue. */
  readonly queued: number;
  /** The iterator itself, the same at each call: two loops share the events out. */
  [Symbol.asyncIterator](): AsyncIterator<E, undefined>;
  /**
   * Ends it at once; a member of a queue group ends after the events that it was given. May be
   * repeated.
   */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A handler at work. */
export interface HandlerSubscription extends AsyncDisposable {
  /** See {@linkcode Subscription.ready}. */
  readonly ready: Promise<void>;
  /** See {@linkcode Subscription.dropped}. */
  readonly dropped: number;
  /** See {@linkcode Subscription.queued}. */
  readonly queued: number;
  /**
   * Ends it at once and waits for the call under way; in a queue group, also for the events that it
   * was given.
   */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Carries events from publishers to present subscribers: at most once, without storing them. A
 * program that must not miss an event subscribes to the store.
 *
 * A **namespace** is one or more tokens joined by dots: `orders`, `orders.eu`. Namespaces are
 * isolated: a subscriber of `orders` sees neither `billing` nor `orders.eu`. A token may hold any
 * characters; NATS's special ones have no meaning here.
 *
 * A **pattern** is a namespace in which the token `*` stands for any one token and a last token
 * `>` for one or more. It crosses namespaces: leave patterns to trusted code, and pass
 * `exact: true` with a name that comes from outside.
 *
 * The bus checks and copies events as a store does; subscribers get frozen copies. A subscriber
 * never delays a publisher: each has a bounded queue of its own.
 */
export interface EventBus extends AsyncDisposable {
  /**
   * Publishes `event` to the subscribers of `namespace`. Resolves when it is in the queues of
   * this node and handed to the transport, if there is one.
   *
   * If an OpenTelemetry SDK is installed, each publish and each call of a handler is a span, and an
   * event without `traceparent` in its metadata gets that of its publish.
   *
   * @throws {RangeError} A token of `namespace` is empty or not well-formed, or all of it takes
   * more than 96 bytes when encoded.
   * @throws {InvalidEventError} JSON would change the event.
   * @throws {EventTooLargeError} The event is larger than the transport takes.
   * @throws {TypeError} The bus is disposed, or `namespace` is not a string.
   */
  publish(namespace: string, event: Event): Promise<void>;

  /**
   * Subscribes to the events of the namespaces that `pattern` matches. Active when it returns.
   *
   * @typeParam E The event type of the namespace; the bus does not check it.
   * @throws {RangeError} The pattern, or an option, is invalid.
   * @throws {TypeError} The bus is disposed, or an argument is of a wrong type.
   */
  subscribe<E extends Event = Event>(pattern: string, options?: SubscribeOptions): Subscription<E>;

  /**
   * Calls `handler` with each event, one at a time. An error that it throws goes to `onError`;
   * neither the publisher nor another subscriber notices, and the next event follows.
   *
   * Disposal, of this or of the bus, waits for the call under way: to end it from within the
   * handler, abort the `signal`.
   *
   * @throws {RangeError} As in {@linkcode EventBus.subscribe}.
   */
  on<E extends Event = Event>(
    pattern: string,
    handler: EventHandler<E>,
    options?: HandlerOptions,
  ): HandlerSubscription;

  /** The counts so far: a snapshot. */
  readonly metrics: BusMetrics;

  /**
   * Ends all subscriptions: loops end after the queued events; handlers get the queued events, and
   * the bus waits for them. The bus refuses later publishes.
   */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Reports that a subscriber fell behind: it loses events from here on, until its queue has run
 * empty.
 */
export interface DropReport {
  /** The subscription's pattern. */
  readonly pattern: string;
  /** The events that are lost. */
  readonly overflow: Exclude<OverflowPolicy, "error">;
  /** How many events may wait. */
  readonly capacity: number;
  /** Events dropped in earlier bursts and the one just now. */
  readonly dropped: number;
}

/** Options that all buses share. */
export interface EventBusOptions {
  /**
   * Called once each time a subscriber falls behind, with the first drop. @default {console.warn}
   */
  readonly onDrop?: (report: DropReport) => void;
  /** Gets the errors of handlers without an `onError` of their own. @default {console.error} */
  readonly onError?: (error: unknown, event?: Event) => void;
}
