/**
 * Once: owners are killed between a command's commit and its reply. The command's events are there
 * once, and the sender gets its answer, from the next owner.
 *
 * @module
 */

import type { ClusterOptions } from "../../cluster/options.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { Owners } from "./owners.ts";
import type { Chaos, Findings, Scenario } from "./scenario.ts";
import { Sender } from "./senders.ts";
import { checkLog, readLog } from "./stored_log.ts";
import { assertVerified } from "../support/verified.ts";

const NODES = ["a", "b", "c", "d"];
const NAMESPACE = "chaos";
/** Commands that hang when their owner is killed. */
const AT_ONCE = 5;
/** How often in a minute a command loses its owner: by what a process takes to come back. */
const RATE = 40;

const OPTIONS: ClusterOptions = {
  namespace: NAMESPACE,
  replicas: 3,
  shards: 32,
  lease: 4_000,
  heartbeatTtl: 4_000,
  ping: 150,
  crash: 1_200,
  outage: 400,
  leaveTimeout: 3_000,
};

/** Has owners killed while `chaos` lasts; gives what was seen, throws where an event is there twice. */
export async function once(chaos: Chaos, times: number): Promise<Findings> {
  await using nats = await NatsCluster.start(3);
  await using owners = new Owners({ servers: nats.urls, cluster: OPTIONS });
  await owners.join(...NODES);
  // Owners look for commands in another way where their senders name them.
  const names = (actorId: string) => actorId.endsWith("0");
  const sender = await Sender.join(nats.urls, { ...OPTIONS, nodeId: "sender" }, { names });
  await sender.owned(...NODES);
  let slowest = 0;
  for (let done = 0; done < times;) {
    const victim = chaos.pick(NODES);
    const theirs: string[] = [];
    for (let at = 0; theirs.length < Math.min(AT_ONCE, times - done); at++) {
      const actorId = `counter-${done}-${at}`;
      if (sender.cluster.ownerOf(actorId)?.nodeId === victim) theirs.push(actorId);
    }
    const from = owners.notes.length;
    const sent = theirs.map((actorId) => sender.send(actorId, { kind: "hang", tag: actorId }));
    await Promise.all(
      theirs.map((actorId) =>
        owners.next(({ kind, tag }) => kind === "saved" && tag === actorId, from)
      ),
    );
    const killedAt = performance.now();
    await owners.kill(victim);
    const replies = await Promise.all(sent);
    slowest = Math.max(slowest, performance.now() - killedAt);
    if (replies.some((version) => version !== 1)) {
      throw new Error(`The replies of the first commands of actors are ${replies}`);
    }
    done += theirs.length;
    chaos.log(
      `${done}: "${victim}" is killed, answered in ${(performance.now() - killedAt).toFixed()} ms`,
    );
    await owners.join(victim);
    await sender.owned(...NODES);
  }
  await Promise.all(NODES.map((nodeId) => owners.leave(nodeId)));
  const log = await readLog(sender.connection, NAMESPACE);
  await assertVerified(sender.connection, NAMESPACE);
  const { acked, failed } = sender;
  await sender[Symbol.asyncDispose]();
  const { problems, counts } = checkLog(log, NAMESPACE, acked);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  if (acked.length !== times || counts.events !== times) {
    throw new Error(`${acked.length} answers, ${counts.events} events: ${JSON.stringify(failed)}`);
  }
  return { "owners lost": times, "slowest answer ms": slowest.toFixed(), ...counts };
}

/** See above. */
export const onceScenario: Scenario = {
  description: "owners are killed between commit and reply: the command's events are there once, " +
    "the sender gets its answer",
  minutes: 5,
  run: (chaos) => once(chaos, Math.max(1, Math.round(chaos.duration / 60_000 * RATE))),
};
