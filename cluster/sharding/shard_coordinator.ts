import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import { decodeView } from "../membership/view_json.ts";
import { emptyShardMap, nextShardMap, type ShardMap } from "./shard_map.ts";
import { formatShardMap, parseShardMap } from "./shard_map_json.ts";
import { planShards, type ShardMember } from "./shard_plan.ts";
import { VIEW_KEY } from "../subjects.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import { isAetherError } from "../../store/errors.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";
import { decodeUtf8, utf8 } from "../../store/base/utf8.ts";
import { backoff } from "../../store/nats/backoff.ts";

/** How a member gets on with the map. */
export interface ShardStatus {
  /** The newest map that it knows. */
  readonly mapVersion: number;
  /** Shards that it is to serve and does not yet, or has to give up and does not yet. */
  readonly unsettled: number;
}

/** What a coordinator works with. */
export interface ShardCoordinatorParts {
  readonly bucket: Bucket;
  /** The store's shards. */
  readonly shards: number;
  /** The members that shards are dealt out to; one that is leaving has the capacity 0. */
  readonly members: () => readonly ShardMember[];
  /** The version of the view that they are of. */
  readonly viewVersion: () => number;
  /** Changes of members. */
  readonly changed: Notifier;
  /** Asks a member; rejects where it does not answer. */
  readonly statusOf: (member: NodeIncarnation) => Promise<ShardStatus>;
  /** The largest map version in the fences, for a map that was lost. */
  readonly newestFence: () => Promise<number>;
  /** Shards that are served and may be on the move at once. */
  readonly maxMoves: number;
  /** Told of what does not pass by itself, each time that it is met. */
  readonly report: (error: unknown) => void;
}

/** The key of the map. */
export const MAP_KEY = "map";
/** How often members are asked while shards are on the move, in ms. */
const POLL = 50;
/** How long a step may take before the next one is made all the same, in ms. */
const STEP = 5_000;
/** How often everything is looked at where nothing happens, in ms. */
const IDLE = 15_000;
/** How long nothing is tried after what does not pass by itself, in ms. */
const TROUBLE = 1_000;

/** The map in `entry`; the empty one where nothing was written yet. */
export function mapIn({ value }: BucketEntry, shards: number): ShardMap {
  return value === undefined ? emptyShardMap(shards) : parseShardMap(decodeUtf8(value), shards);
}

/**
 * Deals the shards out to the members, step by step, for as long as `signal` is not aborted.
 * Two of them at once do no harm: each map is written by compare-and-set on the one before.
 */
export async function coordinateShards(
  parts: ShardCoordinatorParts,
  signal: AbortSignal,
): Promise<void> {
  const { bucket: { requests }, changed, maxMoves, report } = parts;
  let retry = backoff(Infinity, signal);
  /** Whether no shard is on the move. */
  let isAtRest = false;
  /** Who has settled on a map: whoever is new does not follow it from the first moment on. */
  let known = new Set<string>();
  while (!signal.aborted && !requests.closed) {
    const { count } = changed;
    try {
      const present = parts.members().filter(({ capacity }) => capacity > 0).map(incarnationKey);
      const isCalm = isAtRest && present.every((key) => known.has(key));
      // What is served stays while others move; what nobody serves is not waited with.
      const found = await step(parts, isCalm ? maxMoves : 0);
      retry = backoff(Infinity, signal);
      if (found === "newer members") await changed.wait(POLL, signal, count);
      else if (found === "nothing" && isCalm) await changed.wait(IDLE, signal, count);
      else {
        isAtRest = await settled(parts, signal);
        if (isAtRest) known = new Set(present);
      }
    } catch (error) {
      // Nothing is planned, and nobody's shards are taken.
      isAtRest = false;
      if (!isAetherError(error, "StoreUnavailableError")) {
        report(error);
        await changed.wait(TROUBLE, signal);
      }
      await retry(requests);
    }
  }
}

/** Writes the next map, if one is needed and it is known for whom; gives what there was to do. */
async function step(
  { bucket, shards, members, viewVersion, newestFence }: ShardCoordinatorParts,
  maxMoves: number,
): Promise<"moves" | "nothing" | "newer members"> {
  const standing = await bucket.get(MAP_KEY);
  const current = mapIn(standing, shards);
  // Who comes back from an outage may have heard of the map, and not of the members it is for.
  const { value } = await bucket.get(VIEW_KEY);
  if (value !== undefined && decodeView(value).version > viewVersion()) return "newer members";
  const present = members();
  if (present.length === 0) return "nothing";
  const seen = standing.value === undefined ? await newestFence() : 0;
  const living = new Set(present.map(incarnationKey));
  const target = planShards(current, present);
  const gone = (owner: NodeIncarnation) => !living.has(incarnationKey(owner));
  const next = nextShardMap(current, target, { maxMoves, gone, seen });
  if (next === current) return "nothing";
  // Whatever becomes of it, the next round reads what stands.
  await bucket.put(MAP_KEY, utf8(formatShardMap(next)), standing);
  return "moves";
}

/** Resolves when the members have settled on the map, or it has taken too long; false if others come or go. */
async function settled(
  { members, statusOf, bucket, shards, changed }: ShardCoordinatorParts,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = performance.now() + STEP;
  const { version } = mapIn(await bucket.get(MAP_KEY), shards);
  const present = namesOf(members());
  while (performance.now() < deadline && !signal.aborted) {
    const { count } = changed;
    const statuses = await Promise.allSettled(members().map(statusOf));
    if (namesOf(members()) !== present) return false;
    const isSettled = statuses.every((status) =>
      status.status === "fulfilled" && status.value.mapVersion >= version &&
      status.value.unsettled === 0
    );
    if (isSettled) break;
    await changed.wait(POLL, signal, count);
  }
  return true;
}

function namesOf(members: readonly ShardMember[]): string {
  return members.map((member) => incarnationKey(member) + member.capacity).join();
}
