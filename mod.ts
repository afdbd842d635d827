/**
 * Event sourcing primitives for TypeScript, powered by NATS JetStream: an event store with
 * optimistic concurrency, an event bus, and a cluster that fences its writers.
 *
 * @example Save an event, read it back, hear of it
 * ```ts
 * import { createEvent, InMemoryEventStore, LocalEventBus } from "@flowmade-one/aether";
 *
 * await using bus = new LocalEventBus();
 * await using store = new InMemoryEventStore({ namespace: "shop", broadcaster: bus });
 * bus.on("shop", (event) => console.log(event.eventType, event.actorId, event.version));
 *
 * await store.saveEvent(createEvent({
 *   eventType: "OrderPlaced",
 *   actorId: "order-123",
 *   version: 1,
 *   data: { total: 99.99 },
 * }));
 * console.log(await store.getEvents("order-123"));
 * ```
 *
 * @module
 */

export {
  type BusLatency,
  type BusMetrics,
  type DropReport,
  type EventBus,
  type EventBusOptions,
  type EventCounts,
  type EventHandler,
  type EventSeries,
  type HandlerOptions,
  type HandlerSubscription,
  LocalEventBus,
  type LocalEventBusOptions,
  NatsEventBus,
  type NatsEventBusOptions,
  type OverflowPolicy,
  type ReconnectReport,
  type SubscribeOptions,
  type Subscription,
  SubscriptionOverflowError,
} from "./bus/mod.ts";
export {
  AetherError,
  type AetherErrorCode,
  type AetherErrors,
  appendEvents,
  type AppendReceipt,
  type Broadcaster,
  caused,
  type Codec,
  CommandAlreadyHandledError,
  type Connection,
  CorruptEventError,
  createEvent,
  type Decider,
  type Decision,
  type Event,
  EVENT_STORED,
  type EventDraft,
  type EventFilter,
  type EventInit,
  type EventMetadata,
  type EventStore,
  type EventStored,
  type EventStoredData,
  type EventStoreOptions,
  type EventSubscription,
  type EventSubscriptionOptions,
  type EventsWithErrors,
  EventTooLargeError,
  type Evolution,
  execute,
  type Executed,
  type ExecuteOptions,
  type ExpectedVersion,
  FencedError,
  type FenceFacts,
  type FenceHolder,
  FORGOTTEN,
  type Forgotten,
  InMemoryEventStore,
  type InMemoryEventStoreOptions,
  InMemorySnapshotStore,
  type InMemorySnapshotStoreOptions,
  InvalidEventError,
  InvalidSnapshotError,
  isAetherError,
  JetStreamEventStore,
  type JetStreamEventStoreOptions,
  JetStreamSnapshotStore,
  type JetStreamSnapshotStoreOptions,
  type LatestVersionOptions,
  type ListActorsOptions,
  type ReadAllOptions,
  type ReadOptions,
  type RecordedEvent,
  rehydrate,
  type Rehydrated,
  type RehydrateOptions,
  type SaveOptions,
  SaveOutcomeUnknownError,
  type SaveReceipt,
  type SettledOutcome,
  type Snapshot,
  snapshotEvery,
  type SnapshotOptions,
  type SnapshotPolicy,
  type SnapshotQuery,
  type SnapshotStore,
  StoreUnavailableError,
  StreamConfigError,
  StreamRegressedError,
  UnknownSchemaError,
  UnsupportedServerError,
  type Upcaster,
  type Upcasters,
  VersionConflictError,
} from "./store/mod.ts";
