/**
 * Events, and the stores that keep them: in memory for tests, on JetStream for production.
 *
 * @example Save, replay, and meet a conflict
 * ```ts
 * import { createEvent, InMemoryEventStore, isAetherError } from "@flowmade-one/aether/store";
 *
 * await using store = new InMemoryEventStore();
 * const placed = { eventType: "OrderPlaced", actorId: "order-123", version: 1, data: 99.99 };
 * await store.saveEvent(createEvent(placed));
 * try {
 *   await store.saveEvent(createEvent(placed));
 * } catch (error) {
 *   if (!isAetherError(error, "VersionConflictError")) throw error;
 *   console.log(error.currentVersion); // 1
 * }
 * ```
 *
 * @module
 */

export { appendEvents, type AppendReceipt, type EventDraft } from "./append.ts";
export type { CheckpointStore, SavedCheckpoint } from "./checkpoint.ts";
export { type Codec, FORGOTTEN, type Forgotten } from "./codec.ts";
export type { Connection } from "./connection.ts";
export type { Decider, Decision, Evolution } from "./decider.ts";
export {
  AetherError,
  type AetherErrorCode,
  type AetherErrors,
  CheckpointConflictError,
  CommandAlreadyHandledError,
  CommandFailedError,
  type CommandFailure,
  CommandOutcomeUnknownError,
  CorruptEventError,
  EventTooLargeError,
  FencedError,
  type FenceFacts,
  type FenceHolder,
  InvalidEventError,
  InvalidSnapshotError,
  isAetherError,
  type LeaseEnd,
  LeaseLostError,
  NodeReplacedError,
  PoisonEventError,
  SaveOutcomeUnknownError,
  type SettledOutcome,
  StoreUnavailableError,
  StreamConfigError,
  StreamRegressedError,
  UnknownSchemaError,
  UnsupportedServerError,
  VersionConflictError,
} from "./errors.ts";
export {
  caused,
  createEvent,
  type Event,
  type EventInit,
  type EventMetadata,
  type RecordedEvent,
} from "./event.ts";
export { execute, type Executed, type ExecuteOptions } from "./execute.ts";
export { JetStreamEventStore } from "./jetstream.ts";
export type { JetStreamEventStoreOptions } from "./jetstream_options.ts";
export {
  JetStreamSnapshotStore,
  type JetStreamSnapshotStoreOptions,
} from "./jetstream_snapshots.ts";
export type { LookupCounts, SaveCounts, StoreLatency, StoreMetrics } from "./metrics.ts";
export { KvCheckpointStore, type KvCheckpointStoreOptions } from "./kv_checkpoints.ts";
export { InMemoryEventStore, type InMemoryEventStoreOptions } from "./memory.ts";
export { InMemoryCheckpointStore } from "./memory_checkpoints.ts";
export { InMemorySnapshotStore, type InMemorySnapshotStoreOptions } from "./memory_snapshots.ts";
export { Projection } from "./projection.ts";
export type { ProjectionLag } from "./projection_lag.ts";
export { ProjectionLeases, type ProjectionLeasesOptions } from "./projection_leases.ts";
export type { ProjectionMetrics } from "./projection_monitor.ts";
export type {
  ProjectionContext,
  ProjectionHandler,
  ProjectionOptions,
  ProjectionRebuildOptions,
  ProjectionRetry,
  ProjectionStatus,
  ProjectionWaitOptions,
} from "./projection_options.ts";
export type { ParkedActor } from "./projection_state.ts";
export {
  rehydrate,
  type Rehydrated,
  type RehydrateOptions,
  type SnapshotOptions,
} from "./rehydrate.ts";
export type { Snapshot, SnapshotQuery, SnapshotStore } from "./snapshot.ts";
export { snapshotEvery, type SnapshotPolicy } from "./snapshot_policy.ts";
export type {
  Broadcaster,
  EventFilter,
  EventStore,
  EventStoreOptions,
  EventsWithErrors,
  ExpectedVersion,
  LatestVersionOptions,
  ListActorsOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  SaveReceipt,
} from "./store.ts";
export { EVENT_STORED, type EventStored, type EventStoredData } from "./stored.ts";
export type { EventSubscription, EventSubscriptionOptions } from "./subscription.ts";
export type { Upcaster, Upcasters } from "./upcast.ts";
