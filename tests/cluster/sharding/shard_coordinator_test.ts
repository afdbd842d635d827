import { asStreamSequence } from "../../../store/format/position.ts";
import { assert, assertEquals } from "@std/assert";
import { coordinateShards, mapIn } from "../../../cluster/sharding/shard_coordinator.ts";
import type { ShardStatus } from "../../../cluster/sharding/shard_status.ts";
import { until } from "../election/bed.ts";
import { StoreUnavailableError } from "../../../store/errors.ts";
import { Notifier } from "../../../store/base/notifier.ts";
import { ErrorThrottle } from "../../../cluster/error_throttle.ts";
import {
  emptyShardMap,
  nextShardMap,
  type ShardMap,
  shardMoves,
} from "../../../cluster/sharding/shard_map.ts";
import { formatShardMap } from "../../../cluster/sharding/shard_map_json.ts";
import { planShards, type ShardMember } from "../../../cluster/sharding/shard_plan.ts";
import { EMPTY_VIEW } from "../../../cluster/membership/view.ts";
import { encodeView } from "../../../cluster/membership/view_json.ts";
import type { Bucket } from "../../../store/kv/bucket.ts";
import type { BucketEntry, PutOptions } from "../../../store/kv/entry.ts";
import type { TryOutcome } from "../../../store/nats/publisher.ts";

const SHARDS = 64;
const lifeOf = (nodeId: string): ShardMember => ({ nodeId, incarnation: "1", capacity: 1 });

/** Members that settle when the test lets them, and the maps that they get. */
class Bed {
  readonly maps: ShardMap[] = [];
  readonly changed = new Notifier();
  readonly ends = new AbortController();
  members: ShardMember[];
  /** Shards on the move, by node. */
  unsettled = 0;
  /** Reads of the map that fail next. */
  failures = 0;
  /** Nodes that do not answer yet. */
  readonly silent = new Set<string>();
  /** The map version that the fences have seen. */
  taken = 0;
  asked = 0;
  looked = 0;
  readonly reports: unknown[] = [];
  readonly work: Promise<void>;
  #entry: BucketEntry;
  #view: Uint8Array | undefined;

  constructor(map: ShardMap, ...members: ShardMember[]) {
    this.members = members;
    this.#entry = { key: "map", revision: 1, value: new TextEncoder().encode(formatShardMap(map)) };
    const bucket = {
      requests: { closed: false, connected: () => Promise.resolve() },
      get: (key: string) => {
        if (key === "map" && this.maps.length > 0 && this.failures > 0) {
          this.failures--;
          return Promise.reject(new StoreUnavailableError("Cannot read the map: no answer"));
        }
        if (key === "map") return Promise.resolve(this.#entry);
        this.looked++;
        return Promise.resolve({ key, revision: 1, value: this.#view });
      },
      put: (key: string, value: Uint8Array, { revision }: PutOptions): Promise<TryOutcome> => {
        this.#entry = { key, value, revision: revision + 1 };
        this.maps.push(mapIn(this.#entry, SHARDS));
        this.unsettled = 1;
        this.changed.notify(); // Each node hears of each map.
        return Promise.resolve({ kind: "stored", first: asStreamSequence(revision + 1) });
      },
    } as unknown as Bucket;
    this.work = coordinateShards({
      bucket,
      shards: SHARDS,
      members: () => this.members,
      viewVersion: () => 1,
      changed: this.changed,
      statusOf: ({ nodeId }): Promise<ShardStatus> => {
        this.asked++;
        if (this.silent.has(nodeId)) return Promise.reject(new Error("no responders"));
        return Promise.resolve({ mapVersion: Infinity, unsettled: this.unsettled });
      },
      known: () => emptyShardMap(SHARDS),
      takenVersion: () => Promise.resolve(this.taken),
      maxMoves: 4,
      report: (error) => this.reports.push(error),
    }, this.ends.signal);
  }

  /** Has the bucket hold a view that the coordinator has not heard of; or none. */
  holdsView(version: number | undefined): void {
    this.#view = version === undefined ? undefined : encodeView({ ...EMPTY_VIEW, version }, "test");
  }

  /** Has the bucket hold this under the key of the map. */
  holds(map: string): void {
    this.#entry = { key: "map", revision: 9, value: new TextEncoder().encode(map) };
    this.changed.notify();
  }

  /** Resolves when the members were asked so often again. */
  async askedAgain(times: number): Promise<void> {
    const enough = this.asked + times;
    await until(() => this.asked >= enough);
  }

  async end(): Promise<void> {
    this.ends.abort();
    await this.work;
  }
}

const empty = emptyShardMap(SHARDS);
const alone = nextShardMap(empty, planShards(empty, [lifeOf("a")]));
const ownedBy = (map: ShardMap | undefined, nodeId: string) =>
  map?.shards.filter((owner) => owner?.nodeId === nodeId).length;

Deno.test("no more shards are on the move at once than allowed, whatever changed", async () => {
  const bed = new Bed(alone, lifeOf("a"), lifeOf("b"));
  while (bed.maps.length === 0) await bed.askedAgain(1);
  for (let round = 1; round <= 8; round++) {
    bed.changed.notify();
    await bed.askedAgain(4);
    assertEquals(bed.maps.length, round);
    assertEquals(ownedBy(bed.maps.at(-1), "b"), 4 * round);
    bed.unsettled = 0;
    await bed.askedAgain(2);
  }
  await bed.end();
  assertEquals(bed.maps.length, 8);
});

Deno.test("shards of a node that is gone do not wait for those on the move", async () => {
  const both = nextShardMap(alone, planShards(alone, [lifeOf("a"), lifeOf("b")]));
  const bed = new Bed(both, lifeOf("a"), lifeOf("b"), lifeOf("c"));
  while (bed.maps.length === 0) await bed.askedAgain(1);
  assertEquals(shardMoves(both.shards, bed.maps[0]!.shards).length, 4);
  bed.members = [lifeOf("a"), lifeOf("c")];
  const { asked } = bed;
  bed.changed.notify();
  while (bed.maps.length === 1) await bed.askedAgain(1);
  assert(bed.asked < asked + 20, "It waited for the others");
  assertEquals(ownedBy(bed.maps[1], "b"), 0);
  const moves = shardMoves(bed.maps[0]!.shards, bed.maps[1]!.shards);
  assertEquals(moves.filter(({ from }) => from?.nodeId !== "b"), []);
  await bed.end();
});

Deno.test("the first map of a coordinator is newer than all that the fences have seen", async () => {
  const bed = new Bed(alone, lifeOf("a"), lifeOf("b"));
  bed.taken = 99;
  await until(() => bed.maps.length > 0);
  assert(bed.maps[0]!.version > 99, `its version is ${bed.maps[0]!.version}`);
  await bed.end();
});

Deno.test("a served shard keeps its owner until the new one follows the map", async () => {
  const bed = new Bed(alone, lifeOf("a"));
  await bed.askedAgain(1);
  bed.silent.add("b");
  bed.members = [lifeOf("a"), lifeOf("b")];
  bed.changed.notify();
  await bed.askedAgain(8);
  assertEquals(bed.maps.length, 0);
  bed.silent.clear();
  while (bed.maps.length === 0) await bed.askedAgain(1);
  assertEquals(ownedBy(bed.maps[0], "b"), 4);
  await bed.end();
});

Deno.test("nothing is planned while the bucket knows newer members", async () => {
  const bed = new Bed(alone, lifeOf("a"), lifeOf("b"));
  bed.holdsView(2);
  const looked = bed.looked;
  await until(() => bed.looked >= looked + 3);
  assertEquals(bed.maps.length, 0);
  bed.holdsView(1);
  while (bed.maps.length === 0) await bed.askedAgain(1);
  await bed.end();
});

Deno.test("served shards wait for those on the move, though the server was out of reach", async () => {
  const bed = new Bed(alone, lifeOf("a"), lifeOf("b"));
  bed.failures = 1; // Just after the map was written.
  await until(() => bed.maps.length > 0 && bed.failures === 0);
  await bed.askedAgain(8);
  assertEquals(bed.maps.length, 1);
  bed.unsettled = 0;
  await until(() => bed.maps.length === 2);
  await bed.end();
});

Deno.test("served shards wait for those on the move, though a member announces that it leaves", async () => {
  const bed = new Bed(alone, lifeOf("a"), lifeOf("b"));
  await until(() => bed.maps.length > 0);
  await bed.askedAgain(2);
  bed.members = [lifeOf("a"), { ...lifeOf("b"), capacity: 0 }];
  bed.changed.notify();
  await bed.askedAgain(8);
  assertEquals(bed.maps.length, 1);
  bed.unsettled = 0;
  await until(() => ownedBy(bed.maps.at(-1), "b") === 0);
  await bed.end();
});

Deno.test("an unreadable map is reported, and assigning goes on once it can be read", async () => {
  const bed = new Bed(alone, lifeOf("a"), lifeOf("b"));
  bed.holds("{}");
  while (bed.reports.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(bed.maps.length, 0);
  bed.holds(formatShardMap(alone));
  while (bed.maps.length === 0) await bed.askedAgain(1);
  assertEquals(bed.reports.length, 1);
  await bed.end();
});

Deno.test("a map of a later version of this library is reported, and never written over", async () => {
  const bed = new Bed(alone, lifeOf("a"), lifeOf("b"));
  bed.holds(JSON.stringify({ ...JSON.parse(formatShardMap(alone)), format: 99 }));
  await until(() => bed.reports.length > 1 || bed.maps.length > 0);
  assertEquals(bed.maps.length, 0);
  await bed.end();
});

Deno.test("ErrorThrottle reports a repeated problem once in a while, and another one at once", () => {
  const reported: unknown[] = [];
  const errors = new ErrorThrottle((error) => reported.push(error));
  const [one, other] = [new TypeError("one"), new TypeError("other")];
  for (const error of [one, new TypeError("one"), other, one, other]) errors.report(error);
  assertEquals(reported, [one, other]);
});
