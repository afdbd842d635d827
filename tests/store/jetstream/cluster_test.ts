import { JetStreamEventStore } from "../../../store/jetstream/event_store.ts";
import { eventStoreSuite } from "../../../testing/event_store/suite.ts";
import { clusterSuite } from "../../support/cluster_suite.ts";

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
