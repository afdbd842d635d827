import { JetStreamEventStore } from "../store/jetstream.ts";
import { eventStoreSuite } from "../testing/event_store.ts";
import { clusterSuite } from "./cluster_suite.ts";

clusterSuite(
  "JetStreamEventStore with three replicas on a cluster",
  ({ test, connect }) =>
    eventStoreSuite({
      test,
      create: async (options) =>
        await JetStreamEventStore.open(await connect(), { ...options, replicas: 3 }),
      capabilities: { reopen: true, maxBytes: 1024 * 1024 - 2048 },
    }),
);
