import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import { decodeView } from "../membership/view_json.ts";
import { emptyShardMap, nextShardMap, type ShardMap } from "./shard_map.ts";
import { formatShardMap, MAP_FORMAT, parseShardMap } from "./shard_map_json.ts";
import { planShards, type ShardMember } from "./shard_plan.ts";
import { isOfLaterFormat, MAX_STORED_VERSION } from "../stored_format.ts";
import type { ShardStatus } from "./shard_status.ts";
import { UnableMembers } from "./unable_members.ts";
import { VIEW_KEY } from "../subjects.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import { isAetherError, StoreUnavailableError } from "../../store/errors.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";
import { decodeUtf8, utf8 } from "../../store/base/utf8.ts";
import { backoff } from "../../store/nats/backoff.ts";
import { failed } from "../../store/nats/failure.ts";

/** The parts that a shard coordinator needs. */
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
  /** The newest map that this node knows: the stored one may have lost its last writes. */
  readonly known: () => ShardMap;
  /**
   * The map version that the fences show to be taken: no claim under it counts, for `map` or one
   * before it. 0 if there is none.
   */
  readonly takenVersion: (map: ShardMap) => Promise<number>;
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
/** How many steps may pass in which no shard settles; it takes a while to read very many fences. */
const MAX_LATE = 3;
/** How often to look at everything when nothing happens, in ms: a member may not serve any more. */
const IDLE = 5_000;
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
  await new ShardCoordinator(parts).run(signal);
}

/** The work that a step found. */
type Step = "moves" | "nothing" | "newer members";

/** How members have taken a map. */
interface Settlement {
  /**
   * Whether all have settled on the map, it took too long, members came or left meanwhile, or one of
   * them knows a newer map.
   */
  readonly kind: "late" | "newer map" | "other members" | "settled";
  /** The newest map that a member knows. */
  readonly newest: number;
  /** Whether members have taken or released shards meanwhile. */
  readonly moved: boolean;
}

class ShardCoordinator {
  readonly #parts: ShardCoordinatorParts;
  readonly #unable: UnableMembers;
  /** Whether the fences have to be looked at: the map may be older than they are. */
  #isDoubtful = true;
  /** Steps in a row in which no shard has settled. */
  #late = 0;
  /** The next map has to have a larger version than this. */
  #floor = 0;

  constructor(parts: ShardCoordinatorParts) {
    this.#parts = parts;
    this.#unable = new UnableMembers(parts.report);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { bucket: { requests }, changed, maxMoves, report } = this.#parts;
    let retry = backoff(Infinity, signal);
    /** Whether no shard is on the move. */
    let isAtRest = false;
    /** Members that have settled on a map: a new one does not follow it from the first moment on. */
    let known = new Set<string>();
    while (!signal.aborted && !requests.closed) {
      const { count } = changed;
      try {
        const present = this.#members().filter(({ capacity }) => capacity > 0).map(incarnationKey);
        const isCalm = isAtRest && present.every((key) => known.has(key));
        // Served shards wait while others move; shards that nobody serves do not wait.
        const found = await this.#step(isCalm ? maxMoves : 0);
        retry = backoff(Infinity, signal);
        if (found === "newer members") await changed.wait(POLL, signal, count);
        else if (found === "nothing" && isCalm) {
          await changed.wait(IDLE, signal, count);
          // The members are asked again once in a while, though nothing has changed.
          if (changed.count === count) isAtRest = false;
        } else {
          isAtRest = await this.#rest(signal);
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

  /** The members; one that cannot serve its shards gets none for a while. */
  #members(): readonly ShardMember[] {
    return this.#unable.without(this.#parts.members());
  }

  /**
   * Writes the next map, if one is needed and the members are up to date; returns what there was to
   * do.
   */
  async #step(maxMoves: number): Promise<Step> {
    const { bucket, viewVersion, known, takenVersion } = this.#parts;
    const stored = await bucket.get(MAP_KEY);
    let current = this.#mapIn(stored);
    const isDamaged = current === undefined;
    current ??= known();
    // After an outage this node may know the map, but not yet the members that it is for.
    const { value } = await bucket.get(VIEW_KEY);
    if (value !== undefined && decodeView(value).version > viewVersion()) return "newer members";
    const present = this.#members();
    if (present.length === 0) return "nothing";
    let seen = this.#floor;
    if (isDamaged) {
      // Even if no shard moves, a newer map replaces what is stored.
      seen = Math.max(seen, current.version + 1);
      this.#isDoubtful = true;
    }
    if (known().version > current.version) {
      // The stored one has lost its last writes, and the members follow the one that was there.
      if (stored.value !== undefined) current = { ...known(), version: current.version };
      seen = Math.max(seen, known().version);
      this.#isDoubtful = true;
    }
    if (stored.value === undefined || this.#isDoubtful) {
      seen = Math.max(seen, await takenVersion(current));
    }
    const living = new Set(present.map(incarnationKey));
    const target = planShards(current, present);
    const gone = (owner: NodeIncarnation) =>
      !living.has(incarnationKey(owner)) || this.#unable.has(owner);
    const next = nextShardMap(current, target, { maxMoves, gone, seen });
    if (next === current) return "nothing";
    const outcome = await bucket.put(MAP_KEY, utf8(formatShardMap(next)), stored);
    if (outcome.kind === "refused") throw failed("write the map of the shards", outcome.cause);
    // After any other outcome the next round reads the stored map.
    return "moves";
  }

  /**
   * The stored map; `undefined` if it is damaged or foreign and may be replaced: a later version of
   * this library has not written it.
   */
  #mapIn(stored: BucketEntry): ShardMap | undefined {
    const { shards, report } = this.#parts;
    try {
      return mapIn(stored, shards);
    } catch (error) {
      const { value } = stored;
      if (!(error instanceof TypeError) || value === undefined) throw error;
      if (isOfLaterFormat(value, MAP_FORMAT)) throw error;
      report(error);
      return undefined;
    }
  }

  /** Waits until the members have settled; whether shards may move next. */
  async #rest(signal: AbortSignal): Promise<boolean> {
    const { kind, newest, moved } = await this.#settled(signal);
    this.#floor = newest;
    if (kind === "other members") return false;
    this.#isDoubtful = kind !== "settled";
    this.#late = kind === "late" && !moved ? this.#late + 1 : 0;
    if (this.#late >= MAX_LATE && !signal.aborted) {
      this.#parts.report(
        new StoreUnavailableError(
          "Cannot settle the shards on their nodes: some have neither taken nor released theirs " +
            "for long; commands to these wait",
        ),
      );
    }
    return true;
  }

  /** Resolves when the members have settled on the map, or it has taken too long. */
  async #settled(signal: AbortSignal): Promise<Settlement> {
    const { members, statusOf, bucket, shards, changed } = this.#parts;
    const deadline = performance.now() + STEP;
    const { version } = mapIn(await bucket.get(MAP_KEY), shards);
    const present = namesOf(members());
    let newest = 0;
    let moved = false;
    let before = 0;
    while (performance.now() < deadline && !signal.aborted) {
      const { count } = changed;
      const asked = members();
      const statuses = await Promise.allSettled(asked.map(statusOf));
      if (namesOf(members()) !== present) return { kind: "other members", newest, moved };
      let isSettled = true;
      let unsettled = 0;
      for (const [at, status] of statuses.entries()) {
        const value = status.status === "fulfilled" ? status.value : undefined;
        if (value === undefined || value.mapVersion < version || value.unsettled > 0) {
          isSettled = false;
        }
        if (value === undefined) continue;
        unsettled += value.unsettled;
        // A member may know a map that was lost since.
        if (value.mapVersion > version && Number.isSafeInteger(value.mapVersion)) {
          newest = Math.max(newest, value.mapVersion);
        }
        if (this.#unable.note(asked[at]!, value.unable)) {
          return { kind: "other members", newest, moved };
        }
      }
      if (newest > 0) return { kind: "newer map", newest, moved };
      if (isSettled) return { kind: "settled", newest, moved };
      if (unsettled < before) moved = true;
      before = unsettled;
      await changed.wait(POLL, signal, count);
    }
    return { kind: "late", newest, moved };
  }
}

function namesOf(members: readonly ShardMember[]): string {
  return members.map((member) => incarnationKey(member) + member.capacity).join();
}
