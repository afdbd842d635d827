/**
 * Tests for users and implementers of the library: specs of deciders, projections, reactors and
 * processes, a connection that does harm by a seed, and conformance suites that hold an implementation
 * to the promises of its contract. They need no runner of their own.
 *
 * @example Hold a store to the promises of `EventStore`
 * ```ts
 * import { InMemoryEventStore } from "@flowmade-one/aether";
 * import { eventStoreSuite } from "@flowmade-one/aether/testing";
 *
 * const tests = new Map<string, () => Promise<void>>();
 * eventStoreSuite({
 *   test: (name, run) => tests.set(name, run), // or Deno.test, or test of node:test
 *   create: (options) => new InMemoryEventStore(options),
 *   capabilities: { reopen: false, maxBytes: 1024 * 1024 - 2048 },
 * });
 * await tests.get("saveEvent() refuses a version that is not newer")!();
 * ```
 *
 * @module
 */

export {
  type CheckpointStoreCapabilities,
  type CheckpointStoreSuite,
  checkpointStoreSuite,
  type OpenedCheckpointStore,
} from "./checkpoint_store.ts";
export {
  type DeciderGiven,
  type DeciderSpec,
  deciderSpec,
  type DeciderWhen,
  type Expectation,
} from "./decider_spec.ts";
export { type ErrorClass, type ExpectedError } from "./expected_error.ts";
export { type ProcessSpecInput } from "./process_inputs.ts";
export {
  type ProcessExpectation,
  type ProcessGiven,
  type ProcessSpec,
  processSpec,
  type ProcessSpecOptions,
  type ProcessWhen,
} from "./process_spec.ts";
export {
  type ProjectionGiven,
  type ProjectionSpec,
  projectionSpec,
  type ProjectionSpecOptions,
  type ProjectionUnderTest,
} from "./projection_spec.ts";
export {
  type ExpectedCommand,
  type ReactorExpectation,
  type ReactorSpec,
  reactorSpec,
  type ReactorWhen,
} from "./reactor_spec.ts";
export { type SpecDraft, type SpecEvent, type SpecValue } from "./spec_draft.ts";
export { type EventBusNodes, type EventBusSuite, eventBusSuite } from "./event_bus/suite.ts";
export {
  type EventStoreCapabilities,
  type EventStoreSuite,
  eventStoreSuite,
} from "./event_store/suite.ts";
export {
  type EventSubscriptionCapabilities,
  type EventSubscriptionSuite,
  eventSubscriptionSuite,
} from "./event_subscription/suite.ts";
export {
  type KeyStoreCapabilities,
  type KeyStoreSuite,
  keyStoreSuite,
  type OpenedKeyStore,
} from "./key_store/suite.ts";
export {
  type SnapshotStoreCapabilities,
  type SnapshotStoreSuite,
  snapshotStoreSuite,
} from "./snapshot_store/suite.ts";
export {
  type ConnectionFault,
  type FaultyConnection,
  faultyConnection,
  type FaultyConnectionOptions,
} from "./faulty_connection.ts";
