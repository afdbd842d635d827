/**
 * Events, and the stores that keep them: in memory for tests, on JetStream for production.
 *
 * @example Save, and meet a conflict
 * ```ts
 * import { createEvent, InMemoryEventStore, isAetherError } from "@flowmade-one/aether/store";
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
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
export { type Codec, FORGOTTEN, type Forgotten, type JsonCodec, jsonCodec } from "./codec.ts";
export type { Decider, Decision, Evolution } from "./command/decider.ts";
export { execute } from "./command/execute.ts";
export { executeAll, type ExecuteAllResults } from "./command/execute_all.ts";
export type { ExecuteAllOptions, ExecutePart } from "./command/joint_call.ts";
export type { CommandCause, ExecuteOptions, ExecuteResult } from "./command/pending_command.ts";
export {
  rehydrate,
  type RehydrateOptions,
  type RehydrateResult,
  type SnapshotOptions,
} from "./command/rehydrate.ts";
export { type ForgetDuty, type ForgetReport } from "./sealing/forget_report.ts";
export type { ForgettableField, SealedFields, SubjectOf } from "./sealing/fields.ts";
export type { KeyCacheOptions } from "./sealing/key_cache.ts";
export type { SnapshotSubjects } from "./sealing/sealed_snapshots.ts";
export type { KeyStore } from "./sealing/key_store.ts";
export { KvKeyStore, type KvKeyStoreOptions } from "./sealing/kv_keys.ts";
export { InMemoryKeyStore } from "./sealing/memory_keys.ts";
export { type SealedCodec, sealedCodec, type SealedCodecOptions } from "./sealing/sealed_codec.ts";
export type { Connection } from "./connection.ts";
export {
  ActorElsewhereError,
  AetherError,
  type AetherErrorCode,
  type AetherErrors,
  CheckpointConflictError,
  CommandAlreadyHandledError,
  CommandCrashedOwnersError,
  CommandCycleError,
  CommandFailedError,
  type CommandFailure,
  CommandOutcomeUnknownError,
  CommandRefusedError,
  CorruptCheckpointError,
  CorruptEventError,
  type EventIssue,
  EventTooLargeError,
  type FailedEvent,
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
  RebuildFailedError,
  SaveOutcomeUnknownError,
  type SettledOutcome,
  StoreRefusedError,
  StoreUnavailableError,
  StreamConfigError,
  StreamRegressedError,
  UnknownSchemaError,
  type UnreadableEvent,
  UnsupportedServerError,
  VersionConflictError,
} from "./errors.ts";
export {
  causedBy,
  type Commit,
  createEvent,
  type Event,
  type EventInit,
  type EventMetadata,
  type RecordedEvent,
} from "./event.ts";
export { EVENT_STORED, type EventStored, type EventStoredData } from "./event_stored.ts";
export {
  type DefinedEvents,
  defineEvents,
  type DefineEventsOptions,
  type DraftFields,
  type EventConstructor,
  type EventPlace,
  type EventSchemas,
  type EventsOf,
  type RepeatableSchemas,
  type SchemaDefinitions,
} from "./schema/define_events.ts";
export type { JsonSchema, JsonSchemaOptions } from "./schema/json_schema.ts";
export type {
  SchemaInput,
  SchemaOutput,
  StandardSchema,
  StandardSchemaProperties,
  StandardSchemaResult,
} from "./schema/standard.ts";
export { type RichJson, type RichJsonCodec, richJsonCodec } from "./rich_json.ts";
export { unchecked } from "./schema/unchecked.ts";
export { type SchemaStep, type SchemaVersions, schemaVersions } from "./schema/versions.ts";
export { streamSequenceOf } from "./format/position.ts";
export { JetStreamEventStore } from "./jetstream/event_store.ts";
export type { JetStreamApiOptions } from "./nats/api_prefix.ts";
export type { JetStreamEventStoreOptions } from "./jetstream/options.ts";
export { markRestored, type MarkRestoredOptions, type RestoreMark } from "./jetstream/restore.ts";
export { InMemoryEventStore, type InMemoryEventStoreOptions } from "./memory/event_store.ts";
export type {
  EventFilter,
  EventSubscriptionOptions,
  ExpectedVersion,
  LatestVersionOptions,
  ListActorsOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  SaveReceipt,
} from "./options.ts";
export type { CheckpointStore, SavedCheckpoint } from "./projection/checkpoint_store.ts";
export type { ProjectionContext, ProjectionHandler } from "./projection/handler.ts";
export { KvCheckpointStore, type KvCheckpointStoreOptions } from "./projection/kv_checkpoints.ts";
export type { ProjectionLag } from "./projection/lag.ts";
export { ProjectionLeases, type ProjectionLeasesOptions } from "./projection/leases.ts";
export { InMemoryCheckpointStore } from "./projection/memory_checkpoints.ts";
export type { HandlingTrace, ProjectionMetrics } from "./projection/monitor.ts";
export type {
  ProjectionOptions,
  ProjectionReachedOptions,
  ProjectionRebuildOptions,
  ProjectionRetry,
  ProjectionStart,
  ProjectionStatus,
  ProjectionWaitOptions,
} from "./projection/options.ts";
export { Projection } from "./projection/projection.ts";
export type { ParkedActor, SkippedMessage } from "./projection/state.ts";
export { type Effect, effect, type EffectContext } from "./process/effect.ts";
export type {
  CalledEffect,
  IssuedCommand,
  OpenCommand,
  OpenDeadline,
  OpenEffect,
  ParkedAt,
} from "./process/ledger.ts";
export { ProcessManager } from "./process/manager.ts";
export type { ProcessDescription, ProcessManagerOptions } from "./process/manager_options.ts";
export type { Outgoing, OutgoingDecider, SendCommand, SendFacts } from "./process/outgoing.ts";
export type { ParkedProcess } from "./process/parked.ts";
export type {
  Process,
  ProcessCommand,
  ProcessContext,
  ProcessDeadline,
  ProcessEffect,
  ProcessEffectCall,
  ProcessInput,
  ProcessReaction,
  ProcessReply,
} from "./process/process.ts";
export {
  type Reaction,
  Reactor,
  type ReactorContext,
  type ReactorOptions,
  type RefusedCommand,
} from "./process/reactor.ts";
export {
  JetStreamSnapshotStore,
  type JetStreamSnapshotStoreOptions,
} from "./snapshot/jetstream_store.ts";
export {
  InMemorySnapshotStore,
  type InMemorySnapshotStoreOptions,
} from "./snapshot/memory_store.ts";
export { snapshotEvery, type SnapshotPolicy } from "./snapshot/policy.ts";
export type { Snapshot, SnapshotQuery, SnapshotStore } from "./snapshot/snapshot.ts";
export type {
  Broadcaster,
  EventDefinitions,
  EventStore,
  EventStoreOptions,
  EventSubscription,
  EventsWithErrors,
} from "./store.ts";
export type { LookupCounts, SaveCounts, StoreLatency, StoreMetrics } from "./telemetry/metrics.ts";
export type { DeadlineClock } from "./timer/clock.ts";
export type { Upcaster, Upcasters } from "./upcast.ts";
export type {
  VerifyEvolution,
  VerifyOptions,
  VerifyProjection,
  VerifySnapshots,
} from "./verify/options.ts";
export type { VerifyProblem, VerifyProgress, VerifyReport, VerifyRule } from "./verify/report.ts";
export { verify } from "./verify/verify.ts";
