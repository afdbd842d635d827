/**
 * Cluster management on NATS alone: node discovery, leader election, shard distribution, fencing.
 *
 * @example Which node is to serve which shard, before and after a node joins
 * ```ts
 * import { emptyShardMap, nextMap, planShards } from "@flowmade-one/aether/cluster";
 *
 * const a = { nodeId: "a", incarnation: "1", capacity: 1 };
 * const b = { nodeId: "b", incarnation: "1", capacity: 1 };
 * const empty = emptyShardMap(256);
 * const alone = nextMap(empty, planShards(empty, [a]));
 * const shared = nextMap(alone, planShards(alone, [a, b]), { maxMoves: 200 });
 * console.log(shared.shards.filter((owner) => owner?.nodeId === "b").length); // 128
 * ```
 *
 * @module
 */

export type { Connection } from "../store/connection.ts";
export type { CommandContext, CommandHandler, ReplyAgain } from "./actors.ts";
export type { ClusterChange } from "./changes.ts";
export { type ActorOwner, Cluster, type ClusterEvent, type HandleOptions } from "./cluster.ts";
export type { ClusterOptions } from "./cluster_options.ts";
export type { LeaseClock } from "./clock.ts";
export type { HandledCommand } from "./command_store.ts";
export type { ClusterDescription } from "./describe.ts";
export { Discovery } from "./discovery.ts";
export type { DiscoveryOptions, Leadership } from "./discovery_options.ts";
export type { DiscoveryChoices, DiscoveryTimings } from "./discovery_timings.ts";
export { Election, type ElectionOptions, type ElectionSignal } from "./election.ts";
export {
  FencedEventStore,
  type FencedEventStoreOptions,
  type FenceOptions,
} from "./fenced_store.ts";
export type { HandoffPhase } from "./handoff.ts";
export type { Leader } from "./leader_key.ts";
export type { Lease } from "./lease.ts";
export type { RoleWork } from "./role.ts";
export type { SendOptions } from "./router.ts";
export {
  emptyShardMap,
  nextMap,
  type NextMapOptions,
  type ShardMap,
  type ShardMove,
  shardMoves,
  type ShardOwner,
} from "./shard_map.ts";
export { formatShardMap, parseShardMap } from "./shard_map_json.ts";
export { planShards, type ShardMember } from "./shard_plan.ts";
export type { LeaseTimings } from "./timings.ts";
export type {
  ClusterMember,
  ClusterView,
  DepartedMember,
  Departure,
  MemberStatus,
  NodeDescription,
} from "./view.ts";
