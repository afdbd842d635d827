/**
 * Continuity: nodes leave and come back by their names, one after the other, while commands come
 * at a steady rate. None is lost, none is handled twice.
 *
 * @module
 */

import type { ClusterOptions } from "../../cluster/options.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { distribution, longestGap } from "./gaps.ts";
import { Owners } from "./owners.ts";
import type { Chaos, Findings, Scenario } from "./scenario.ts";
import { type Pace, Sender } from "./senders.ts";
import { checkLog, readLog } from "./stored_log.ts";
import { assertVerified } from "../support/verified.ts";

const NODES = ["a", "b", "c"];
const NAMESPACE = "chaos";
const ACTORS = 100;
/** From one command to the next of each actor, in ms: over 500 commands a second in all. */
const EVERY = 180;
/** How often in a minute a node is restarted. */
const RATE = 10;

const OPTIONS: ClusterOptions = { namespace: NAMESPACE, replicas: 3, shards: 64 };

/** Restarts nodes in turn; gives what was seen, throws where a command is lost or there twice. */
export async function continuity(chaos: Chaos, restarts: number): Promise<Findings> {
  await using nats = await NatsCluster.start(3);
  await using owners = new Owners({ servers: nats.urls, cluster: OPTIONS });
  await owners.join(...NODES);
  const sender = await Sender.join(nats.urls, { ...OPTIONS, nodeId: "sender" });
  await sender.owned(...NODES);
  const paces = Array.from({ length: ACTORS }, (): Pace => ({ replies: [], since: undefined }));
  const start = performance.now();
  const sending = paces.map((pace, at) => sender.pace(`counter-${at}`, EVERY, pace));
  const leaves: number[] = [];
  for (let restart = 1; restart <= restarts; restart++) {
    const nodeId = NODES[restart % NODES.length]!;
    leaves.push(await owners.leave(nodeId));
    chaos.log(`${restart}: "${nodeId}" has left in ${leaves.at(-1)!.toFixed()} ms`);
    await owners.join(nodeId);
    await sender.owned(...NODES);
  }
  sender.stop();
  await Promise.all(sending);
  const seconds = (performance.now() - start) / 1000;
  await Promise.all(NODES.map((nodeId) => owners.leave(nodeId)));
  const log = await readLog(sender.connection, NAMESPACE);
  await assertVerified(sender.connection, NAMESPACE);
  const { acked, failed, doubts } = sender;
  await sender[Symbol.asyncDispose]();
  const { problems, counts } = checkLog(log, NAMESPACE, acked);
  if (problems.length > 0) throw new Error(problems.slice(0, 20).join("\n"));
  const isWhole = counts.events === acked.length && Object.keys(failed).length === 0;
  if (!isWhole) {
    throw new Error(`${acked.length} answers, ${counts.events} events: ${JSON.stringify(failed)}`);
  }
  return {
    restarts,
    "commands acked": acked.length,
    "a second": (acked.length / seconds).toFixed(),
    "sent again": doubts,
    "leaving ms": distribution(leaves),
    "gap per actor ms": distribution(
      paces.map(({ replies }) => longestGap(replies, 0, Infinity) - EVERY),
    ),
    ...counts,
  };
}

/** See above. */
export const continuityScenario: Scenario = {
  description: "rolling restarts under 500 commands a second: none lost, none handled twice",
  minutes: 2,
  run: (chaos) => continuity(chaos, Math.max(1, Math.round(chaos.duration / 60_000 * RATE))),
};
