/**
 * The event bus: carries events from publishers to present subscribers, by namespace, on one node
 * ({@linkcode LocalEventBus}) or over NATS ({@linkcode NatsEventBus}). At most once, without
 * storing them; a program that must not miss an event subscribes to the event store.
 *
 * @example A store notifies a bus of each save
 * ```ts
 * import { createEvent, InMemoryEventStore, LocalEventBus } from "@flowmade-one/aether";
 *
 * await using bus = new LocalEventBus(); // Deno, or Node 24 and newer
 * await using store = new InMemoryEventStore({ namespace: "orders", broadcaster: bus });
 *
 * bus.on("orders", ({ actorId, version }) => {
 *   console.log(`${actorId} is at version ${version}`);
 * }, { eventTypes: ["EventStored"] });
 *
 * await store.saveEvent(
 *   createEvent({ eventType: "OrderPlaced", actorId: "order-7", version: 1, data: { total: 5 } }),
 * );
 * ```
 *
 * @module
 */

export type {
  DropReport,
  EventBus,
  EventBusOptions,
  EventHandler,
  HandlerOptions,
  HandlerSubscription,
  OverflowPolicy,
  SubscribeOptions,
  Subscription,
} from "./bus.ts";
export { LocalEventBus, type LocalEventBusOptions } from "./local.ts";
export type { BusLatency, BusMetrics, EventCounts, EventSeries } from "./metrics.ts";
export { NatsEventBus, type NatsEventBusOptions, type ReconnectReport } from "./nats.ts";
export { SubscriptionOverflowError } from "../store/errors.ts";
