import { assertEquals } from "@std/assert";
import { NatsCluster } from "../tools/nats_cluster.ts";
import { JetStreamEventStore } from "../store/jetstream.ts";
import { eventStoreSuite } from "../testing/event_store.ts";
import { Scene } from "./fixture.ts";

/** The suite's tests, with stores that have three replicas and are spread over the servers. */
function testsOn(cluster: NatsCluster): [string, () => Promise<void>][] {
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
      assertEquals(connection.info?.server_name, server.name);
      return await JetStreamEventStore.open(connection, { ...options, replicas: 3 });
    },
    capabilities: { reopen: true, maxBytes: 1024 * 1024 - 2048 },
  });
  return tests;
}

Deno.test("JetStreamEventStore with three replicas on a cluster", async (t) => {
  await using cluster = await NatsCluster.start(3);
  for (const [name, run] of testsOn(cluster)) await t.step(name, run);
});
