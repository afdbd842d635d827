import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import { decodeView } from "../membership/view_json.ts";
import { emptyShardMap, nextShardMap, type ShardMap } from "./shard_map.ts";
import { formatShardMap, MAP_FORMAT, parseShardMap } from "./shard_map_json.ts";
import { planShards, type ShardMember } from "./shard_plan.ts";
import { isOfLaterFormat, MAX_STORED_VERSION } from "../stored_format.ts";
import { VIEW_KEY } from "../subjects.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import { isAetherError } from "../../store/errors.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";
import { decodeUtf8, utf8 } from "../../store/base/utf8.ts";
import { backoff } from "../../store/nats/backoff.ts";

/** How far a member has carried out the map. */
export interface ShardStatus {
  /** The newest map that it knows. */
  readonly mapVersion: number;
  /** Shards that it should serve and does not yet, or should release and has not yet. */
  readonly unsettled: number;
}

/** What a shard coordinator works with. */
export interface ShardCoordinatorParts {
  readonly bucket: Bucket;
  /** The store's shards. */
  readonly shards: number;
  /** The members to assign shards to; one that is leaving has the capacity 0. */
  readonly members: () => readonly ShardMember[];
  /** The version of the view of these members. */
  readonly viewVersion: () => number;
  /** Notified of changes of members. */
  readonly changed: Notifier;
  /** Asks a member; rejects if it does not answer. */
  readonly statusOf: (member: NodeIncarnation) => Promise<ShardStatus>;
  /** The newest map that this node knows, in case the stored one is damaged. */
  readonly known: () => ShardMap;
  /** The largest map version in the fences, in case the map was lost. */
  readonly newestFence: () => Promise<number>;
  /** How many served shards may be on the move at once. */
  readonly maxMoves: number;
  /** Gets errors that are not transient, each time they occur. */
  readonly report: (error: unknown) => void;
}

/** The key of the map. */
export const MAP_KEY = "map";
/** How often members are asked while shards are on the move, in ms. */
const POLL = 50;
/** How long a step may take before the next one is made anyway, in ms. */
const STEP = 5_000;
/** How often to look at everything when nothing happens, in ms. */
const IDLE = 15_000;
/** How long to wait after an error that is not transient, in ms. */
const TROUBLE = 1_000;

/** The map in `entry`; the empty one if none was written yet. */
export function mapIn({ value }: BucketEntry, shards: number): ShardMap {
  if (value === undefined) return emptyShardMap(shards);
  const map = parseShardMap(decodeUtf8(value), shards);
  if (map.version < MAX_STORED_VERSION) return map;
  throw new TypeError(`Cannot read the shard map: its version is ${map.version}`);
}

/**
 * Assigns the shards to the members, step by step, until `signal` is aborted. Two coordinators at
 * once do no harm: each map is written by compare-and-set on the one before.
 */
export async function coordinateShards(
  parts: ShardCoordinatorParts,
  signal: AbortSignal,
): Promise<void> {
  const { bucket: { requests }, changed, maxMoves, report } = parts;
  let retry = backoff(Infinity, signal);
  /** Whether no shard is on the move. */
  let isAtRest = false;
  /** Members that have settled on a map: a new one does not follow it from the first moment on. */
  let known = new Set<string>();
  while (!signal.aborted && !requests.closed) {
    const { count } = changed;
    try {
      const present = parts.members().filter(({ capacity }) => capacity > 0).map(incarnationKey);
      const isCalm = isAtRest && present.every((key) => known.has(key));
      // Served shards wait while others move; shards that nobody serves do not wait.
      const found = await step(parts, isCalm ? maxMoves : 0);
      retry = backoff(Infinity, signal);
      if (found === "newer members") await changed.wait(POLL, signal, count);
      else if (found === "nothing" && isCalm) await changed.wait(IDLE, signal, count);
      else {
        isAtRest = await settled(parts, signal);
        if (isAtRest) known = new Set(present);
      }
    } catch (error) {
      // Nothing is planned, and nobody loses a shard.
      isAtRest = false;
      if (!isAetherError(error, "StoreUnavailableError")) {
        report(error);
        await changed.wait(TROUBLE, signal);
      }
      await retry(requests);
    }
  }
}

/**
 * Writes the next map, if one is needed and the members are up to date; returns what there was to
 * do.
 */
async function step(
  parts: ShardCoordinatorParts,
  maxMoves: number,
): Promise<"moves" | "nothing" | "newer members"> {
  const { bucket, members, viewVersion } = parts;
  const stored = await bucket.get(MAP_KEY);
  const { current, seen } = await currentMap(parts, stored);
  // After an outage this node may know the map, but not yet the members that it is for.
  const { value } = await bucket.get(VIEW_KEY);
  if (value !== undefined && decodeView(value).version > viewVersion()) return "newer members";
  const present = members();
  if (present.length === 0) return "nothing";
  const living = new Set(present.map(incarnationKey));
  const target = planShards(current, present);
  const gone = (owner: NodeIncarnation) => !living.has(incarnationKey(owner));
  const next = nextShardMap(current, target, { maxMoves, gone, seen });
  if (next === current) return "nothing";
  // Whatever its outcome, the next round reads the stored map.
  await bucket.put(MAP_KEY, utf8(formatShardMap(next)), stored);
  return "moves";
}

/**
 * The map to go on from, and the largest version that was seen if the stored one was lost. One that
 * is damaged or foreign is replaced, by a map that is newer than any that is known.
 */
async function currentMap(
  { shards, known, newestFence, report }: ShardCoordinatorParts,
  stored: BucketEntry,
): Promise<{ readonly current: ShardMap; readonly seen: number }> {
  try {
    const current = mapIn(stored, shards);
    return { current, seen: stored.value === undefined ? await newestFence() : 0 };
  } catch (error) {
    const { value } = stored;
    if (!(error instanceof TypeError) || value === undefined) throw error;
    if (isOfLaterFormat(value, MAP_FORMAT)) throw error;
    report(error);
    const current = known();
    return { current, seen: Math.max(await newestFence(), current.version + 1) };
  }
}

/**
 * Resolves when the members have settled on the map, or it has taken too long; false if members
 * come or leave.
 */
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
