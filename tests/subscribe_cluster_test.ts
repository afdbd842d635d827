import { assertEquals } from "@std/assert";
import { NatsCluster } from "../tools/nats_cluster.ts";
import { JetStreamEventStore } from "../store/jetstream.ts";
import { eventSubscriptionSuite } from "../testing/event_subscription.ts";
import { Scene } from "./fixture.ts";

/** The suite's tests, with stores that have three replicas and are spread over the servers. */
function testsOn(cluster: NatsCluster): [string, () => Promise<void>][] {
  const tests: [string, () => Promise<void>][] = [];
  let scene: Scene;
  let stores = 0;
  eventSubscriptionSuite({
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
    capabilities: { reopen: true },
  });
  return tests;
}

Deno.test("Subscriptions on a cluster with three replicas", async (t) => {
  await using cluster = await NatsCluster.start(3);
  for (const [name, run] of testsOn(cluster)) await t.step(name, run);
});
