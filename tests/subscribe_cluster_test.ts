import { JetStreamEventStore } from "../store/jetstream.ts";
import { eventSubscriptionSuite } from "../testing/event_subscription.ts";
import { clusterSuite } from "./cluster_suite.ts";

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
