import type { ClusterDescription } from "../../cluster/description.ts";
import { changesBetween } from "../../cluster/membership/changes.ts";
import { emptyShardMap, type ShardMap, shardMoves } from "../../cluster/sharding/shard_map.ts";
import { isSameIncarnation } from "../../cluster/incarnation.ts";
import type { FenceHolder } from "../../store/errors.ts";
import { fenceHolderIn } from "../../store/fencing/fences.ts";
import { readLastValues } from "../../store/kv/last_values.ts";
import { attempt } from "../../store/nats/retry.ts";
import type { ReaderParts } from "../../store/read/pages.ts";
import type { ClusterRecords, SavedCluster } from "./records.ts";
import type { ClusterStateView } from "../views/cluster.ts";

/** Changes that are remembered. */
const MOST_CHANGES = 100;

/** A `Cluster`. */
export interface InspectedCluster {
  /** Describes the node. */
  describe(): ClusterDescription;
}

type ClusterChangeView = ClusterStateView["changes"][number];

/** Looks at a cluster by its records, and notes what changes between looks. */
export class ClusterLook {
  readonly #reader: ReaderParts | undefined;
  readonly #records: ClusterRecords | undefined;
  readonly #cluster: InspectedCluster | undefined;
  #before: SavedCluster | undefined;
  #changes: readonly ClusterChangeView[] = [];
  /** The fences, and the last message of the stream when they were read. */
  #fences:
    | { readonly sequence: number; readonly held: ReadonlyMap<number, FenceHolder> }
    | undefined;

  /** Has not looked yet. */
  constructor(
    reader: ReaderParts | undefined,
    records: ClusterRecords | undefined,
    cluster: InspectedCluster | undefined,
  ) {
    this.#reader = reader;
    this.#records = records;
    this.#cluster = cluster;
  }

  /** The cluster as it is now. */
  async view(): Promise<ClusterStateView> {
    const saved = await this.#records?.read();
    const own = this.#cluster?.describe();
    const at = new Date().toISOString();
    if (saved === undefined) return { ...NOTHING, at, ...(own && ofNode(own)) };
    this.#note(saved, at);
    const { view, map = emptyShardMap(1), leader } = saved;
    const held = await this.#held();
    const owners = [...new Set(map.shards.flatMap((owner) => owner?.nodeId ?? []))].sort();
    const places = new Map(owners.map((nodeId, place) => [nodeId, place]));
    const shards = saved.map === undefined
      ? []
      : map.shards.map((owner) => owner === undefined ? -1 : places.get(owner.nodeId)!);
    const count = (nodeId: string) => shards.filter((place) => owners[place] === nodeId).length;
    return {
      ...{ at, source: own === undefined ? "records" : "cluster" },
      ...(own && { namespace: own.namespace, self: own.nodeId }),
      version: view.version,
      members: view.members.map((member) => ({ ...member, shards: count(member.nodeId) })),
      ...(view.coordinator !== undefined && { coordinator: view.coordinator }),
      // One that is gone does not lead, though its lease has not expired.
      ...(leader && view.members.some(({ nodeId }) => nodeId === leader.nodeId) && {
        leader: { nodeId: leader.nodeId, term: leader.term },
      }),
      map: {
        ...{ version: map.version, owners, shards },
        free: shards.filter((place) => place < 0).length,
      },
      handoffs: handoffsOf(map, held),
      ...(own && { phases: Object.fromEntries(own.phases) }),
      ...{ departed: view.departed, changes: this.#changes },
    };
  }

  /** Notes what is different from the last look. */
  #note(now: SavedCluster, at: string): void {
    const before = this.#before;
    this.#before = now;
    if (before === undefined) return;
    const fresh: ClusterChangeView[] = [];
    for (const change of changesBetween(before.view, now.view)) {
      if (change.type === "coordinator") continue;
      const { member: { nodeId }, type } = change;
      const isArrival = type === "joined" || type === "leaving";
      fresh.push({ at, nodeId, ...(isArrival ? { what: type } : { what: "left", how: type }) });
    }
    if (before.leader?.term !== now.leader?.term) {
      const { nodeId, term } = now.leader ?? {};
      fresh.push({
        ...{ at, what: "leader" },
        ...(nodeId !== undefined && { nodeId }),
        ...(term !== undefined && { term }),
      });
    }
    const [was, is] = [before.map?.shards ?? [], now.map?.shards ?? []];
    const moves = was.length === is.length ? shardMoves(was, is).length : is.length;
    if (moves > 0) fresh.push({ at, what: "moved", shards: moves });
    this.#changes = [...this.#changes, ...fresh].slice(-MOST_CHANGES);
  }

  /** The holders of the shards' fences; read again only if one was written. */
  async #held(): Promise<ReadonlyMap<number, FenceHolder>> {
    if (this.#reader === undefined) return new Map();
    const { api, timeout, requestTimeout } = this.#reader;
    return await attempt(api.requests, timeout, "read the fences", async () => {
      const pattern = api.layout.fence("*");
      const last = await api.get({ last_by_subj: pattern }, requestTimeout);
      const sequence = last?.sequence ?? 0;
      if (this.#fences?.sequence === sequence) return this.#fences.held;
      const { messages } = await readLastValues(api, pattern, requestTimeout);
      const held = new Map(messages.map((message) => {
        const shard = Number(message.subject.slice(message.subject.lastIndexOf(".") + 1));
        return [shard, fenceHolderIn(message)];
      }));
      this.#fences = { sequence, held };
      return held;
    });
  }
}

const NOTHING: Omit<ClusterStateView, "at"> = {
  ...{ source: "none", version: 0, members: [], departed: [], changes: [], handoffs: [] },
  map: { version: 0, owners: [], shards: [], free: 0 },
};

/** The cluster as a node describes it, where its records cannot be read. */
function ofNode({ namespace, nodeId, view, leader, map, phases }: ClusterDescription) {
  const { version, members, coordinator, departed } = view;
  return {
    ...{ source: "cluster" as const, namespace, self: nodeId, version, departed },
    members: members.map((member) => ({ ...member, shards: map.owned.get(member.nodeId) ?? 0 })),
    ...(coordinator !== undefined && { coordinator }),
    ...(leader && { leader: { nodeId: leader.nodeId, term: leader.term } }),
    map: { version: map.version, owners: [], shards: [], free: map.free },
    phases: Object.fromEntries(phases),
  };
}

/** The shards that are not held by the process which should have them. */
function handoffsOf(
  map: ShardMap,
  held: ReadonlyMap<number, FenceHolder>,
): ClusterStateView["handoffs"] {
  return map.shards.flatMap((to, shard) => {
    const holder = held.get(shard);
    const from = holder?.state === "claimed" ? holder : undefined;
    if (to === undefined || isSameIncarnation(from, to)) return [];
    return [{ shard, ...(from && { from: from.nodeId }), to: to.nodeId }];
  });
}
