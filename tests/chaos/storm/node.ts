/**
 * A node of the cluster of a storm: owns its share of some actors, counts for whoever sends, and
 * sends to all of them.
 *
 * @module
 */

import { Cluster } from "../../../cluster/cluster.ts";
import type { Connection } from "../../../store/connection.ts";
import { appendEvents, isAetherError } from "../../../store/mod.ts";
import type { CountedData } from "../owners.ts";
import type { End } from "./ends.ts";
import type { Recorder } from "./history.ts";

/** Actors of the cluster. */
const ACTORS = 12;

/** What a node works with. */
export interface NodeParts {
  readonly connection: Connection;
  /** The cluster's own namespace. */
  readonly namespace: string;
  readonly replicas: number;
  readonly nodeId: string;
  readonly life: number;
  readonly recorder: Recorder;
  readonly random: () => number;
  /** How long a silent node is waited for, in ms. */
  readonly lease: number;
}

/** The namespace of the cluster beside that of the store. */
export function clusterNamespace(namespace: string): string {
  return `${namespace}-cluster`;
}

/** Joins, and handles commands: each saves one event that tells who handled it. */
export async function joinCluster(parts: NodeParts): Promise<Cluster> {
  const { connection, namespace, replicas, nodeId, life, lease } = parts;
  const cluster = await Cluster.join(connection, {
    ...{ namespace, replicas, nodeId, shards: 16, lease, heartbeatTtl: lease },
    ...{ ping: 200, crash: 1_200, outage: 400, drainTimeout: 1_000, leaveTimeout: 3_000 },
    onError() {}, // Outages are meant.
  });
  const by: CountedData = { by: [nodeId, life] };
  cluster.handle(async (_, { actorId, store }) => {
    const version = await store.getLatestVersion(actorId);
    await appendEvents(store, actorId, version, [{ eventType: "Counted", data: by }]);
    return version + 1;
  }, { onDuplicate: (events) => events.at(-1)!.version });
  return cluster;
}

/** Sends one command, and once more under its id if its outcome is unknown. */
export async function send({ recorder, random }: NodeParts, cluster: Cluster): Promise<void> {
  const actorId = `counter-${Math.floor(random() * ACTORS)}`;
  const kind = "command to a cluster";
  let commandId = "";
  const op = recorder.invoke(kind, (op) => ({ type: "send", actorId, commandId: commandId = op }));
  for (let tries = 1;; tries++) {
    try {
      const version = await cluster.send(actorId, "count", { commandId, timeout: 5_000 });
      return recorder.end(kind, op, "ok", { version: Number(version) });
    } catch (error) {
      const { outcome, output } = endOfSend(error);
      if (outcome !== "unknown" || tries === 2) return recorder.end(kind, op, outcome, output);
    }
  }
}

function endOfSend(error: unknown): End {
  const output = { error: error instanceof Error ? error.name : String(error) };
  if (isAetherError(error, "CommandAlreadyHandledError")) return { outcome: "ok", output };
  if (isAetherError(error, "StoreUnavailableError")) return { outcome: "refused", output };
  const isUnknown = isAetherError(error, "CommandOutcomeUnknownError") ||
    isAetherError(error, "CommandCrashedOwnersError") || isAetherError(error, "CommandFailedError");
  if (isUnknown) return { outcome: "unknown", output };
  return { outcome: "unknown", output: { error: `Unexpected ${error}` } };
}
