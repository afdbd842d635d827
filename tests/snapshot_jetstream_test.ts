import { assertEquals } from "@std/assert";
import { JetStreamSnapshotStore } from "../store/mod.ts";
import { snapshotStoreSuite } from "../testing/snapshot_store.ts";
import { NatsCluster } from "../tools/nats_cluster.ts";
import { natsTest, Scene } from "./fixture.ts";

const MAX_BYTES = 1024 * 1024 - 2048;

let scene: Scene;

snapshotStoreSuite({
  test: (name, run) =>
    natsTest(`JetStreamSnapshotStore: ${name}`, (own) => {
      scene = own;
      return run();
    }),
  // Each store has a connection of its own, as it would in another process.
  create: async (options) => await JetStreamSnapshotStore.open(await scene.connect(), options),
  capabilities: { reopen: true, maxBytes: MAX_BYTES },
});

Deno.test("JetStreamSnapshotStore with three replicas on a cluster", async (t) => {
  await using cluster = await NatsCluster.start(3);
  const tests: [string, () => Promise<void>][] = [];
  let stores = 0;
  snapshotStoreSuite({
    test: (name, run) => tests.push([name, run]),
    create: async (options) => {
      const server = cluster.servers[stores++ % 3]!;
      const connection = await scene.connect({ servers: server.url });
      assertEquals(connection.info?.server_name, server.name);
      return await JetStreamSnapshotStore.open(connection, { ...options, replicas: 3, keep: 1 });
    },
    capabilities: { reopen: true, maxBytes: MAX_BYTES },
  });
  for (const [name, run] of tests) {
    await t.step(name, async () => {
      scene = new Scene(cluster.servers);
      try {
        await run();
        await scene.assertNoLeaks();
      } finally {
        await scene.close();
      }
    });
  }
});
