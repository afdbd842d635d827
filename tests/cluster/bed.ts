/**
 * Nodes of a cluster in one process, each with a connection of its own, that count per actor.
 *
 * @module
 */

import { Cluster } from "../../cluster/cluster.ts";
import type { ClusterOptions } from "../../cluster/options.ts";
import { appendEvents } from "../../store/append.ts";
import type { Event } from "../../store/event.ts";
import type { Scene } from "../support/fixture.ts";

/** Timings that tests can wait for. */
export const QUICK: ClusterOptions = {
  shards: 32,
  lease: 4_000,
  heartbeatTtl: 4_000,
  ping: 100,
  crash: 1_000,
  outage: 250,
};

/** Counts the commands of each actor, and replies with the count. */
export function count(cluster: Cluster): void {
  cluster.handle(async (command, { actorId, store }) => {
    const version = await store.getLatestVersion(actorId);
    await appendEvents(store, actorId, version, [{ eventType: "Counted", data: { command } }]);
    return version + 1;
  }, { onDuplicate: (events) => events.at(-1)!.version });
}

/** A node that counts, on a connection of its own. */
export async function join(
  scene: Scene,
  nodeId: string,
  options: ClusterOptions = {},
  server: { readonly url: string } = scene.servers[nodeId.charCodeAt(0) % scene.servers.length]!,
  handle: (cluster: Cluster) => void = count,
): Promise<Cluster> {
  const replicas = scene.servers.length > 1 ? 3 : 1;
  const connection = await scene.connect({ servers: server.url });
  const cluster = await Cluster.join(connection, {
    namespace: scene.namespace,
    nodeId,
    replicas,
    ...QUICK,
    ...options,
  });
  handle(cluster);
  return cluster;
}

/** How long nodes may take to settle, in ms. */
const PATIENCE = 60_000;

/** Resolves when the nodes serve all shards, each what the map gives it. */
export async function settled(...nodes: readonly Cluster[]): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    if (performance.now() > deadline) throw new Error("The nodes have not settled in time");
    const all = nodes.map((node) => node.describe());
    const [{ map }] = all as [typeof all[0]];
    const serving = all.reduce((sum, { phases }) => sum + (phases.get("serving") ?? 0), 0);
    const isOne = all.every((other) => other.map.version === map.version);
    const shares = [...map.owned.values()];
    const isFair = shares.length === nodes.length &&
      Math.max(...shares) - Math.min(...shares) <= 1;
    if (isOne && isFair && serving === map.shards) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether the events of an actor count from 1 without a gap, and each command is there once. */
export function problemsOf(events: readonly Event[]): string[] {
  const seen = new Set<unknown>();
  const problems: string[] = [];
  for (const [at, { version, data }] of events.entries()) {
    const { command } = data as { command: unknown };
    if (version !== at + 1) problems.push(`version ${version} at ${at}`);
    if (seen.has(command)) problems.push(`command ${command} twice`);
    seen.add(command);
  }
  return problems;
}
