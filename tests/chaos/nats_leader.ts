/**
 * Losing a NATS server does not cost the lease: the one that leads the bucket is killed, again
 * and again, and the leader of the application stays with the default timings.
 *
 * @module
 */

import { clusterBucket } from "../../cluster/subjects.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { Candidates } from "./candidates.ts";
import { checkReigns, type LeadNote, type Note, reignsOf } from "./reigns.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";

const NAMESPACE = "chaos";
/** How often in a minute a server is killed: as often as the cluster gets whole again. */
const KILLS = 3;

/** The shortest time that the lease had left when it was renewed, in ms. */
function leastLeft(notes: readonly Note[]): number {
  const leads = notes.filter((note): note is LeadNote => "until" in note);
  return Math.min(...leads.slice(1).map(({ at }, before) => leads[before]!.until - at));
}

/** Kills the bucket's leader `kills` times; gives what was seen. */
async function run(chaos: Chaos): Promise<Findings> {
  const kills = Math.max(1, Math.round(chaos.duration / 60_000 * KILLS));
  await using cluster = await NatsCluster.start(3);
  await using candidates = new Candidates({
    servers: cluster.urls,
    namespace: NAMESPACE,
    replicas: 3,
    timings: {},
    connection: {},
    slow: 1,
  });
  for (const nodeId of ["a", "b", "c"]) candidates.start(nodeId);
  for (const nodeId of ["a", "b", "c"]) {
    await candidates.next((note) => note.kind === "campaigns" && note.nodeId === nodeId, 0);
  }
  const { nodeId } = await candidates.next(({ kind }) => kind === "taken", 0);
  for (let kill = 1; kill <= kills; kill++) {
    await pause(chaos.between(0, 3000)); // Some time between two renewals.
    const server = await cluster.leaderOf(`KV_${clusterBucket(NAMESPACE)}`);
    await server.kill();
    chaos.log(`${kill}: ${server.name} is killed, "${nodeId}" leads`);
    await pause(chaos.between(0, 10_000));
    await server.restart();
    await cluster.waitHealthy();
    await candidates.next(({ kind }) => kind !== "campaigns");
  }
  const left = leastLeft(candidates.notes);
  const reigns = reignsOf(candidates.notes);
  if (reigns.length !== 1) {
    throw new Error(`The leader changed: ${JSON.stringify(reigns)}`);
  }
  await candidates.endAll();
  checkReigns(reignsOf(candidates.notes));
  return {
    "servers killed": kills,
    "leases lost": reigns.length - 1,
    "least time left s": (left / 1000).toFixed(1),
  };
}

/** See above. */
export const natsLeader: Scenario = {
  description: "the NATS server that leads the bucket is killed again and again: no application " +
    "leader loses its lease of 15 s",
  minutes: 7,
  run,
};
