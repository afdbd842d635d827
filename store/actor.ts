import { murmur3 } from "./base/murmur.ts";

/** The category of an actor: its id up to the first `-`; the whole id if that is empty. */
export function categoryOf(actorId: string): string {
  const dash = actorId.indexOf("-");
  return dash > 0 ? actorId.slice(0, dash) : actorId;
}

/** The shard of an actor, from 0 to `shards` - 1. */
export function shardOf(actorId: string, shards: number): number {
  return murmur3(actorId) % shards;
}
