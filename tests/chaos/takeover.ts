/**
 * Takeover: of three nodes that serve a thousand shards one is killed. How long it takes from when
 * the view is without it until all of its shards are claimed and served.
 *
 * @module
 */

import type { ClusterOptions } from "../../cluster/options.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { distribution } from "./gaps.ts";
import { type OwnerNote, Owners } from "./owners.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";
import { Sender } from "./senders.ts";
import { assertVerified } from "../support/verified.ts";

const NODES = ["a", "b", "c"];
const NAMESPACE = "chaos";
const SHARDS = 1000;
/** How often in a minute a node is killed: as often as it comes back and all is even again. */
const RATE = 4;

/** The measurements, in ms. */
export interface Takeovers {
  /** From the view without the node until all shards are served. */
  readonly fromView: number[];
  /** The same from its kill. */
  readonly fromKill: number[];
  /** How many shards it had. */
  readonly shards: number[];
}

/** Kills a node `times` times. */
export async function takeovers(
  chaos: Chaos,
  options: ClusterOptions,
  times: number,
): Promise<Takeovers> {
  const cluster = { namespace: NAMESPACE, replicas: 3, shards: SHARDS, ...options };
  await using nats = await NatsCluster.start(3);
  await using owners = new Owners({ servers: nats.urls, cluster, watch: true });
  await owners.join(...NODES);
  await using sender = await Sender.join(nats.urls, { ...cluster, nodeId: "sender" });
  const found: Takeovers = { fromView: [], fromKill: [], shards: [] };
  for (let time = 1; time <= times; time++) {
    await sender.owned(...NODES);
    await served(owners, NODES, 0);
    const victim = chaos.pick(NODES);
    const survivors = NODES.filter((nodeId) => nodeId !== victim);
    found.shards.push(sender.cluster.describe().map.owned.get(victim)!);
    const from = owners.notes.length;
    const { at: before } = owners.notes.at(-1)!;
    const start = performance.now();
    await owners.kill(victim);
    const without = await owners.next(
      ({ kind, nodeId, members }) =>
        kind === "view" && nodeId !== victim && members?.includes(victim) === false,
      from,
    );
    const end = await served(owners, survivors, from);
    if (without.at < before) throw new Error("The view was told of before the kill");
    found.fromKill.push(performance.now() - start);
    found.fromView.push(end - without.at);
    chaos.log(`"${victim}" is killed: served ${(end - without.at).toFixed()} ms after the view`);
    await owners.join(victim);
  }
  await sender.owned(...NODES);
  await Promise.all(NODES.map((nodeId) => owners.leave(nodeId)));
  await assertVerified(sender.connection, NAMESPACE);
  return found;
}

/** When these nodes serve all shards together, by their notes of which one at least is new. */
async function served(owners: Owners, nodeIds: readonly string[], from: number): Promise<number> {
  for (;;) {
    const last = nodeIds.map((nodeId): OwnerNote | undefined =>
      owners.notes.findLast((note) => note.kind === "serves" && note.nodeId === nodeId)
    );
    const count = last.reduce((sum, note) => sum + (note?.count ?? 0), 0);
    const isNew = last.some((note) => note !== undefined && owners.notes.indexOf(note) >= from);
    if (count === SHARDS && isNew) return Math.max(...last.map((note) => note!.at));
    await pause(5);
  }
}

/** See above. */
export const takeover: Scenario = {
  description: "three nodes serve 1,000 shards, one is killed: its shards are served in 1 s from " +
    "when the view is without it",
  minutes: 3,
  async run(chaos): Promise<Findings> {
    const times = Math.max(1, Math.round(chaos.duration / 60_000 * RATE));
    const { fromView, fromKill, shards } = await takeovers(chaos, {}, times);
    const findings = {
      "nodes killed": times,
      "shards of each": distribution(shards),
      "served after the view ms": distribution(fromView),
      "after the kill ms": distribution(fromKill),
    };
    if (fromView.some((ms) => ms > 1000)) throw new Error(`Too late: ${JSON.stringify(findings)}`);
    return findings;
  },
};
