import { JetStreamSnapshotStore } from "../../../store/mod.ts";
import { snapshotStoreSuite } from "../../../testing/snapshot_store/suite.ts";
import { clusterSuite } from "../../support/cluster_suite.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

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

clusterSuite(
  "JetStreamSnapshotStore with three replicas on a cluster",
  ({ test, connect }) =>
    snapshotStoreSuite({
      test,
      create: async (options) =>
        await JetStreamSnapshotStore.open(await connect(), { ...options, replicas: 3, keep: 1 }),
      capabilities: { reopen: true, maxBytes: MAX_BYTES },
    }),
);
