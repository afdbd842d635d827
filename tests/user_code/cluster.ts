import type { Hooks } from "./bed.ts";

/** What a cluster takes from its user. */
export const CLUSTER: Hooks = {
  "FencedEventStoreOptions.onDeposed": "drawn from in server_test.ts",
  "Clock.monotonic()": "drawn from in cluster_test.ts",
  "Clock.wall()": "drawn from in cluster_test.ts",
  "ClusterOptions.load": "drawn from in cluster_test.ts",
  "ClusterOptions.onError": "drawn from in cluster_test.ts",
  "CommandHandler": "drawn from in cluster_test.ts",
  "DiscoveryOptions.load": "drawn from in cluster_test.ts",
  "DiscoveryOptions.onError": "drawn from in cluster_test.ts",
  "NextShardMapOptions.gone":
    "called at once by a pure function: what it throws reaches the caller",
  "ReplyToDuplicate": "drawn from in cluster_test.ts",
  "RoleWork": "drawn from in cluster_test.ts",
};
