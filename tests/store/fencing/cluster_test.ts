import { FencedEventStore } from "../../../store/fencing/fenced_store.ts";
import { eventStoreSuite } from "../../../testing/event_store/suite.ts";
import { type ClusterStage, clusterSuite } from "../../support/cluster_suite.ts";

const SHARDS = 16;

/** The suite, with stores of three replicas that own all shards. */
function suite({ test, connect }: ClusterStage, mode: "fenced" | "optimistic"): void {
  let stores = 0;
  eventStoreSuite({
    test,
    create: async (options) => {
      const own = { nodeId: `node-${++stores}`, mode, replicas: 3, shards: SHARDS };
      const store = await FencedEventStore.open(await connect(), { ...options, ...own });
      await Promise.all(
        Array.from({ length: SHARDS }, (_, shard) => store.claim(shard, stores)),
      );
      return store;
    },
    capabilities: {
      reopen: mode === "optimistic",
      maxBytes: 1024 * 1024 - 2048,
      reserved: SHARDS,
    },
  });
}

/** Optimistic saves go a plain store's way, whose suite runs on a cluster each time. */
const LONG = Deno.env.get("AETHER_LONG") !== undefined;

for (const mode of ["fenced", "optimistic"] as const) {
  const skip = mode === "optimistic" && !LONG && "only with AETHER_LONG=1";
  const name = `FencedEventStore, ${mode}, with three replicas on a cluster`;
  clusterSuite(name, (stage) => suite(stage, mode), { skip });
}
