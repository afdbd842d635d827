import type { Hooks } from "./bed.ts";

const OF_TESTS = "a part of a test: what it throws is that test's failure";

/** What the suites and specs for tests take from their user. */
export const TESTING: Hooks = {
  ...Object.fromEntries(
    ["CheckpointStore", "KeyStore", "EventBus", "EventStore", "EventSubscription", "SnapshotStore"]
      .flatMap((kind) => ["create", "skip", "test"].map((name) => `${kind}Suite.${name}`))
      .map((name) => [name, OF_TESTS]),
  ),
  "ErrorClass": "a class that is compared with, never called",
  "ExpectedError": OF_TESTS,
  ...Object.fromEntries(
    [
      "ProjectionGiven.then()",
      "ProjectionGiven.thenThrows()",
      "ProjectionSpec.given()",
      "ProjectionUnderTest.close",
      "ProjectionUnderTest.read",
      "ReactorSpec.when()",
      "ReactorWhen.commandIds()",
      "ReactorWhen.then()",
      "projectionSpec",
    ].map((name) => [name, OF_TESTS]),
  ),
  "FaultyConnectionOptions.only": OF_TESTS,
};
