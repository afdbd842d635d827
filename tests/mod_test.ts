import { assert, assertEquals, assertMatch } from "@std/assert";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "../tools/root.ts";

/** Folders that are published, in the order in which they may import each other, last first. */
const AREAS = ["store", "bus", "cluster"] as const;

const STORE = [
  "AetherError",
  "AetherErrorCode",
  "AetherErrors",
  "AppendReceipt",
  "Broadcaster",
  "CheckpointConflictError",
  "CheckpointStore",
  "Codec",
  "Commit",
  "CommandAlreadyHandledError",
  "CommandFailedError",
  "CommandFailure",
  "CommandOutcomeUnknownError",
  "Connection",
  "CorruptEventError",
  "Decider",
  "Decision",
  "EVENT_STORED",
  "Event",
  "EventDraft",
  "EventFilter",
  "EventInit",
  "EventMetadata",
  "EventStore",
  "EventStoreOptions",
  "EventStored",
  "EventStoredData",
  "EventSubscription",
  "EventSubscriptionOptions",
  "EventTooLargeError",
  "EventsWithErrors",
  "Evolution",
  "ExecuteOptions",
  "ExecuteResult",
  "ExpectedVersion",
  "FORGOTTEN",
  "FenceFacts",
  "FenceHolder",
  "FencedError",
  "Forgotten",
  "InMemoryCheckpointStore",
  "InMemoryEventStore",
  "InMemoryEventStoreOptions",
  "InMemorySnapshotStore",
  "InMemorySnapshotStoreOptions",
  "InvalidEventError",
  "InvalidSnapshotError",
  "JetStreamEventStore",
  "JetStreamEventStoreOptions",
  "JetStreamSnapshotStore",
  "JetStreamSnapshotStoreOptions",
  "KvCheckpointStore",
  "KvCheckpointStoreOptions",
  "LatestVersionOptions",
  "LeaseEnd",
  "LeaseLostError",
  "ListActorsOptions",
  "LookupCounts",
  "NodeReplacedError",
  "ParkedActor",
  "PoisonEventError",
  "Projection",
  "ProjectionContext",
  "ProjectionHandler",
  "ProjectionLag",
  "ProjectionLeases",
  "ProjectionLeasesOptions",
  "ProjectionMetrics",
  "ProjectionOptions",
  "ProjectionRebuildOptions",
  "ProjectionRetry",
  "ProjectionStatus",
  "ProjectionWaitOptions",
  "ReadAllOptions",
  "ReadOptions",
  "RecordedEvent",
  "RehydrateOptions",
  "RehydrateResult",
  "SaveCounts",
  "SaveOptions",
  "SaveOutcomeUnknownError",
  "SaveReceipt",
  "SavedCheckpoint",
  "SettledOutcome",
  "Snapshot",
  "SnapshotOptions",
  "SnapshotPolicy",
  "SnapshotQuery",
  "SnapshotStore",
  "StoreLatency",
  "StoreMetrics",
  "StoreUnavailableError",
  "StreamConfigError",
  "StreamRegressedError",
  "UnknownSchemaError",
  "UnsupportedServerError",
  "Upcaster",
  "Upcasters",
  "VersionConflictError",
  "appendEvents",
  "causedBy",
  "createEvent",
  "execute",
  "isAetherError",
  "rehydrate",
  "snapshotEvery",
  "streamSequenceOf",
];

const BUS = [
  "BusLatency",
  "BusMetrics",
  "DropReport",
  "EventBus",
  "EventBusOptions",
  "EventCounts",
  "EventHandler",
  "EventSeries",
  "HandlerOptions",
  "HandlerSubscription",
  "LocalEventBus",
  "LocalEventBusOptions",
  "NatsEventBus",
  "NatsEventBusOptions",
  "OverflowPolicy",
  "ReconnectReport",
  "SubscribeOptions",
  "Subscription",
  "SubscriptionOverflowError",
];

const CLUSTER = [
  "ActorOwner",
  "Cluster",
  "ClusterChange",
  "ClusterDescription",
  "ClusterEvent",
  "ClusterMember",
  "ClusterOptions",
  "ClusterView",
  "CommandContext",
  "CommandHandler",
  "Connection",
  "DepartedMember",
  "Departure",
  "Discovery",
  "DiscoveryTimingOptions",
  "DiscoveryOptions",
  "DiscoveryTimings",
  "Election",
  "ElectionOptions",
  "CampaignOptions",
  "FenceOptions",
  "FencedEventStore",
  "FencedEventStoreOptions",
  "HandleOptions",
  "HandledCommand",
  "HandoffPhase",
  "Leader",
  "Leadership",
  "Lease",
  "Clock",
  "LeaseTimings",
  "MemberStatus",
  "NextShardMapOptions",
  "NodeDescription",
  "ReplyToDuplicate",
  "RoleWork",
  "SendOptions",
  "ShardMap",
  "ShardMember",
  "ShardMove",
  "ShardOwner",
  "emptyShardMap",
  "formatShardMap",
  "nextShardMap",
  "parseShardMap",
  "planShards",
  "shardMoves",
];

/** What the root has of a cluster: `Cluster` and what its signatures name. */
const ROOT_CLUSTER = [
  "ActorOwner",
  "Cluster",
  "ClusterChange",
  "ClusterDescription",
  "ClusterEvent",
  "ClusterMember",
  "ClusterOptions",
  "ClusterView",
  "CommandContext",
  "CommandHandler",
  "Connection",
  "DepartedMember",
  "Departure",
  "HandleOptions",
  "HandledCommand",
  "MemberStatus",
  "NodeDescription",
  "ReplyToDuplicate",
  "SendOptions",
];

const TESTING = [
  "CheckpointStoreCapabilities",
  "CheckpointStoreSuite",
  "DeciderGiven",
  "DeciderSpec",
  "DeciderWhen",
  "ErrorClass",
  "EventBusNodes",
  "EventBusSuite",
  "EventStoreCapabilities",
  "EventStoreSuite",
  "EventSubscriptionCapabilities",
  "EventSubscriptionSuite",
  "Expectation",
  "OpenedCheckpointStore",
  "SnapshotStoreCapabilities",
  "SnapshotStoreSuite",
  "checkpointStoreSuite",
  "deciderSpec",
  "eventBusSuite",
  "eventStoreSuite",
  "eventSubscriptionSuite",
  "snapshotStoreSuite",
];

/** The names that an entry point exports, types and values; it lists each one. */
async function exportsOf(entry: string): Promise<string[]> {
  const source = withoutComments(await Deno.readTextFile(join(ROOT, entry)));
  assert(!/export\s*\*/.test(source), `${entry} exports names that it does not list`);
  const names: string[] = [];
  for (const [, list] of source.matchAll(/export\s+(?:type\s+)?\{([^}]*)\}/g)) {
    for (const item of list!.split(",").map((item) => item.trim()).filter(Boolean)) {
      names.push(item.replace(/^type\s+/, "").split(/\s+as\s+/).at(-1)!);
    }
  }
  return names.sort();
}

/** What the modules of a published file are called, as the file says it. */
function specifiersIn(source: string): string[] {
  const code = withoutComments(source);
  const clauses = code.matchAll(/\b(?:import|export)\b[^"'`;()]*?\bfrom\s*["']([^"']+)["']/g);
  const bare = code.matchAll(/\bimport\s*\(?\s*["']([^"']+)["']/g);
  return [...clauses, ...bare].map(([, specifier]) => specifier!);
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

/** The TypeScript files of a folder, from the root. */
async function* filesOf(folder: string): AsyncGenerator<string> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    const path = join(folder, name);
    if (isDirectory) yield* filesOf(path);
    if (isFile && name.endsWith(".ts")) yield path;
  }
}

/** Each import of a published file: who, from which area, of which area or package. */
async function imports(): Promise<{ file: string; from: string; to: string }[]> {
  const found: { file: string; from: string; to: string }[] = [];
  for (const from of [...AREAS, "testing"]) {
    for await (const file of filesOf(from)) {
      for (const specifier of specifiersIn(await Deno.readTextFile(join(ROOT, file)))) {
        const to = specifier.startsWith(".")
          ? relative(ROOT, join(ROOT, file, "..", specifier)).split(/[\\/]/)[0]!
          : specifier;
        found.push({ file, from, to });
      }
    }
  }
  return found;
}

for (
  const [entry, names] of Object.entries({
    "store/mod.ts": STORE,
    "bus/mod.ts": BUS,
    "cluster/mod.ts": CLUSTER,
    "testing/mod.ts": TESTING,
    "mod.ts": [...new Set([...STORE, ...BUS, ...ROOT_CLUSTER])],
  })
) {
  Deno.test(`${entry} exports these names and no others`, async () => {
    assertEquals(await exportsOf(entry), [...names].sort());
    // At run time there are the values among them, and nothing that the list does not say.
    const values = Object.keys(await import(pathToFileURL(join(ROOT, entry)).href));
    assertEquals(values.filter((name) => !names.includes(name)), []);
  });
}

Deno.test("deno.json exports just these entry points", async () => {
  const { exports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  assertEquals(exports, {
    ".": "./mod.ts",
    "./store": "./store/mod.ts",
    "./bus": "./bus/mod.ts",
    "./cluster": "./cluster/mod.ts",
    "./testing": "./testing/mod.ts",
  });
});

Deno.test("imports point one way: cluster, bus, store", async () => {
  const all = await imports();
  const upwards = all.filter(({ from, to }) => {
    const allowed: readonly string[] = from === "testing"
      ? [...AREAS, "testing"]
      : AREAS.slice(0, AREAS.indexOf(from as typeof AREAS[number]) + 1);
    const isLocal = [...AREAS, "testing", "tests", "tools", "bench", "examples", "mod.ts"]
      .includes(to);
    return isLocal && !allowed.includes(to);
  });
  assertEquals(upwards, []);
  assert(all.some(({ from, to }) => from === "bus" && to === "store"), "bus imports store");
});

Deno.test("published files import only what the manifest names, and no transport", async () => {
  const packages = (await imports()).filter(({ to }) =>
    ![...AREAS, "testing"].includes(to as typeof AREAS[number])
  );
  const allowed =
    /^(@nats-io\/(nats-core|jetstream|kv)(\/internal)?|@opentelemetry\/api|node:async_hooks)$/;
  for (const { file, from, to } of packages) {
    assertMatch(to, allowed, `${file} imports ${to}`);
    assert(from !== "testing", `${file} imports ${to}, and a suite runs anywhere`);
    assert(from === "cluster" || !to.startsWith("@nats-io/kv"), `${file} imports ${to}`);
  }
});

Deno.test("the reader of imports sees every form of them", () => {
  const source = `
    import "./a.ts";
    import b from "./b.ts";
    import { c, type C } from './c.ts';
    import {
      d,
    } from "./d.ts";
    import type { E } from "./e.ts";
    import * as f from "./f.ts";
    export { g } from "./g.ts";
    export type { H } from "./h.ts";
    export * from "./i.ts";
    const j = await import("./j.ts");
    type K = import("./k.ts").K;
    // import "./no.ts";
    /** import "./no.ts" */
    const text = "from";
  `;
  const expected = [..."abcdefghijk"].map((letter) => `./${letter}.ts`);
  assertEquals(specifiersIn(source).sort(), expected);
});
