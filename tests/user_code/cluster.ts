import type { Hooks } from "./bed.ts";

/** What a cluster takes from its user. */
export const CLUSTER: Hooks = {
  "FencedEventStoreOptions.onDeposed": "drawn from in server_test.ts",
  "Clock.monotonic()": "not drawn from yet",
  "Clock.wall()": "not drawn from yet",
  "ClusterOptions.load": "not drawn from yet",
  "ClusterOptions.onError": "not drawn from yet",
  "CommandHandler": "not drawn from yet",
  "DiscoveryOptions.load": "not drawn from yet",
  "DiscoveryOptions.onError": "not drawn from yet",
  "NextShardMapOptions.gone":
    "called at once by a pure function: what it throws reaches the caller",
  "ReplyToDuplicate": "not drawn from yet",
  "RoleWork": "not drawn from yet",
};
