import { JetStreamEventStore } from "../../../store/jetstream/event_store.ts";
import { eventSubscriptionSuite } from "../../../testing/event_subscription/suite.ts";
import { clusterSuite } from "../../support/cluster_suite.ts";

clusterSuite(
  "Subscriptions on a cluster with three replicas",
  ({ test, connect }) =>
    eventSubscriptionSuite({
      test,
      create: async (options) =>
        await JetStreamEventStore.open(await connect(), { ...options, replicas: 3 }),
      capabilities: { reopen: true },
    }),
);
