/**
 * Cluster management on NATS alone: node discovery, leader election, shard distribution, fencing.
 *
 * @example Which node is to serve which shard, before and after a node joins
 * ```ts
 * import { emptyShardMap, nextShardMap, planShards } from "@flowmade-one/aether/cluster";
 *
 * const a = { nodeId: "a", incarnation: "1", capacity: 1 };
 * const b = { nodeId: "b", incarnation: "1", capacity: 1 };
 * const empty = emptyShardMap(256);
 * const alone = nextShardMap(empty, planShards(empty, [a]));
 * const shared = nextShardMap(alone, planShards(alone, [a, b]), { maxMoves: 200 });
 * console.log(shared.shards.filter((owner) => owner?.nodeId === "b").length); // 128
 * ```
 *
 * @module
 */

export { type ActorOwner, Cluster, type ClusterEvent, type HandleOptions } from "./cluster.ts";
export type { CommandContext, CommandHandler, ReplyToDuplicate } from "./commands/handler.ts";
export type { SendOptions } from "./commands/router.ts";
export type { ClusterDescription } from "./description.ts";
export type { Clock } from "./election/clock.ts";
export { type CampaignOptions, Election, type ElectionOptions } from "./election/election.ts";
export type { Leader } from "./election/leader_key.ts";
export type { Lease } from "./election/lease.ts";
export type { LeaseTimings } from "./election/lease_timings.ts";
export type { ClusterChange } from "./membership/changes.ts";
export { Discovery } from "./membership/discovery.ts";
export type { DiscoveryOptions, Leadership } from "./membership/options.ts";
export type { RoleWork } from "./membership/role.ts";
export type { DiscoveryTimingOptions, DiscoveryTimings } from "./membership/timings.ts";
export type {
  ClusterMember,
  ClusterView,
  DepartedMember,
  Departure,
  MemberStatus,
  NodeDescription,
} from "./membership/view.ts";
export type { ClusterOptions } from "./options.ts";
export type { NodeIncarnation } from "./incarnation.ts";
export type { HandoffPhase } from "./sharding/handoff.ts";
export {
  emptyShardMap,
  nextShardMap,
  type NextShardMapOptions,
  type ShardMap,
  type ShardMove,
  shardMoves,
} from "./sharding/shard_map.ts";
export { formatShardMap, parseShardMap } from "./sharding/shard_map_json.ts";
export { planShards, type ShardMember } from "./sharding/shard_plan.ts";
export type { Connection } from "../store/connection.ts";
export {
  FencedEventStore,
  type FencedEventStoreOptions,
  type FenceOptions,
} from "../store/fencing/fenced_store.ts";
export type { HandledCommand } from "../store/fencing/handled_commands.ts";
