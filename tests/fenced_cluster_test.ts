import { NatsCluster } from "../tools/nats_cluster.ts";
import { FencedEventStore } from "../cluster/fenced_store.ts";
import { eventStoreSuite } from "../testing/event_store.ts";
import { Scene } from "./fixture.ts";

const SHARDS = 16;

/** The suite's tests, with stores of three replicas that own all shards, spread over the servers. */
function testsOn(
  cluster: NatsCluster,
  mode: "fenced" | "optimistic",
): [string, () => Promise<void>][] {
  const tests: [string, () => Promise<void>][] = [];
  let scene: Scene;
  let stores = 0;
  eventStoreSuite({
    test: (name, run) =>
      tests.push([name, async () => {
        scene = new Scene(cluster.servers);
        try {
          await run();
          await scene.assertNoLeaks();
        } finally {
          await scene.close();
        }
      }]),
    create: async (options) => {
      const server = cluster.servers[stores++ % cluster.servers.length]!;
      const connection = await scene.connect({ servers: server.url });
      const own = { nodeId: `node-${stores}`, mode, replicas: 3, shards: SHARDS };
      const store = await FencedEventStore.open(connection, { ...options, ...own });
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
  return tests;
}

/** Optimistic saves go a plain store's way, whose suite runs on a cluster each time. */
const LONG = Deno.env.get("AETHER_LONG") !== undefined;

for (const mode of ["fenced", "optimistic"] as const) {
  Deno.test({
    name: `FencedEventStore, ${mode}, with three replicas on a cluster`,
    ignore: mode === "optimistic" && !LONG,
    fn: async (t) => {
      await using cluster = await NatsCluster.start(3);
      for (const [name, run] of testsOn(cluster, mode)) await t.step(name, run);
    },
  });
}
