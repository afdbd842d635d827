/**
 * Failover: how long shards are without an owner who answers, when theirs leaves, is killed, or
 * hangs; whether the others' shards notice; and how long nobody leads.
 *
 * @module
 */

import type { ClusterOptions } from "../../cluster/options.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { distribution, longestGap } from "./gaps.ts";
import { Owners } from "./owners.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";
import { type Pace, Sender } from "./senders.ts";
import { assertVerified } from "../support/verified.ts";

const NODES = ["a", "b", "c"];
const NAMESPACE = "chaos";
const SHARDS = 24;
/** From one command to the next of each shard, in ms. */
const EVERY = 30;

/** Before each fault, in ms. */
const CALM = 1000;
/** How often in a minute an owner leaves, is killed, and the leader is. */
const RATE = 1.25;

/** The fault that an owner meets. */
export type Fault = "leave" | "kill" | "kill leader" | "hang";

/** The measurements, in ms. */
export interface Failovers {
  /** By fault, and by time that it happened: until the last of the node's shards answered again. */
  readonly untilServed: Record<Fault, number[]>;
  /** By fault and shard: the longest time without an answer. */
  readonly gaps: Record<Fault, number[]>;
  /** By fault, and by time that it happened: the longest time without an answer of any other shard. */
  readonly others: Record<Fault, number[]>;
  /** From a leader's end to the next one, as the sender saw it. */
  readonly leaderless: number[];
  /** Before each fault, for a second: the longest time without an answer, for what it is worth. */
  readonly calm: number[];
}

function lists(): Record<Fault, number[]> {
  return { "leave": [], "kill": [], "kill leader": [], "hang": [] };
}

/** Does `faults` to owners, one after the other, and measures. */
export async function failovers(
  chaos: Chaos,
  options: ClusterOptions,
  faults: readonly Fault[],
): Promise<Failovers> {
  const cluster = { namespace: NAMESPACE, replicas: 3, shards: SHARDS, ...options };
  await using nats = await NatsCluster.start(3);
  await using owners = new Owners({ servers: nats.urls, cluster });
  await owners.join(...NODES);
  await using sender = await Sender.join(nats.urls, { ...cluster, nodeId: "sender" });
  await sender.owned(...NODES);
  const paces = new Map<string, Pace>();
  const shards = new Set<number>();
  for (let at = 0; paces.size < SHARDS; at++) {
    const actorId = `counter-${at}`;
    const { shard } = sender.cluster.ownerOf(actorId)!;
    if (!shards.has(shard)) paces.set(actorId, { replies: [], since: undefined });
    shards.add(shard);
  }
  const sending = [...paces].map(([actorId, pace]) => sender.pace(actorId, EVERY, pace));
  const found: Failovers = {
    untilServed: lists(),
    gaps: lists(),
    others: lists(),
    leaderless: [],
    calm: [],
  };
  for (const fault of faults) {
    const { untilServed, gaps, others, leaderless } = found;
    const leader = await led(sender);
    const victim = fault === "kill leader"
      ? leader
      : chaos.pick(NODES.filter((nodeId) => nodeId !== leader));
    const isTheirs = (actorId: string) => sender.cluster.ownerOf(actorId)?.nodeId === victim;
    const theirs = [...paces].filter(([actorId]) => isTheirs(actorId)).map(([, pace]) => pace);
    const rest = [...paces.values()].filter((pace) => !theirs.includes(pace));
    await pause(CALM);
    const start = performance.now();
    const calm = [...paces.values()].map((pace) => longestGap(pace.replies, start - CALM, start));
    found.calm.push(Math.max(...calm));
    if (fault === "leave") await owners.leave(victim);
    else if (fault === "hang") await owners.stop(victim);
    else await owners.kill(victim);
    // A reply to what was sent after the fault: one before it may just be on its way.
    await Promise.all(theirs.map((pace) => answered(pace, start)));
    const served = performance.now();
    const again = theirs.map(({ replies }) => replies.find((at) => at > start + 5)! - start);
    untilServed[fault].push(fault === "leave" ? 0 : Math.max(...again));
    gaps[fault].push(...theirs.map(({ replies }) => longestGap(replies, start, served)));
    others[fault].push(Math.max(...rest.map(({ replies }) => longestGap(replies, start, served))));
    const worst = Math.max(...theirs.map(({ replies }) => longestGap(replies, start, served)));
    chaos.log(
      `${fault} ${victim}: ${worst.toFixed()} ms, others ${others[fault].at(-1)!.toFixed()}`,
    );
    if (fault === "kill leader") {
      while (sender.cluster.leader === undefined || sender.cluster.leader.nodeId === victim) {
        await pause(5);
      }
      leaderless.push(performance.now() - start);
    }
    if (fault === "hang") owners.resume(victim);
    else await owners.join(victim);
    await sender.owned(...NODES);
  }
  sender.stop();
  await Promise.all(sending);
  await Promise.all(NODES.map((nodeId) => owners.leave(nodeId)));
  await assertVerified(sender.connection, NAMESPACE);
  return found;
}

/** The leader, once it is one of the owners. */
async function led(sender: Sender): Promise<string> {
  for (;;) {
    const { leader } = sender.cluster;
    if (leader !== undefined && NODES.includes(leader.nodeId)) return leader.nodeId;
    await pause(20);
  }
}

/** Resolves when a command that was sent after `start` is answered, or one that waited at it. */
async function answered(pace: Pace, start: number): Promise<void> {
  for (let more = 2; more > 0;) {
    const { length } = pace.replies;
    while (pace.replies.length === length) await pause(1);
    if (pace.replies.at(-1)! > start) more--;
  }
}

/** The measurements, in ms, for the table: median, 99 %, and most. */
export function failoverFindings(found: Failovers): Findings {
  const { untilServed, gaps, others, leaderless, calm } = found;
  const findings: Record<string, number | string> = {};
  for (const fault of ["leave", "kill", "kill leader", "hang"] as const) {
    if (gaps[fault].length === 0) continue;
    if (fault === "leave") findings["leave: gap per shard ms"] = distribution(gaps.leave);
    else findings[`${fault}: until all served ms`] = distribution(untilServed[fault]);
    findings[`${fault}: others' longest gap ms`] = distribution(others[fault]);
  }
  if (leaderless.length > 0) findings["leaderless ms"] = distribution(leaderless);
  findings["longest gap before any fault ms"] = distribution(calm);
  return findings;
}

/** See above. */
export const failover: Scenario = {
  description: "owners leave, are killed, hang: their shards are served again in 200 ms, 5 s, " +
    "and the heartbeat's time and 4 s; a new leader in the lease's time and 2 s",
  minutes: 8,
  async run(chaos) {
    const rounds = Math.max(1, Math.round(chaos.duration / 60_000 * RATE));
    const faults = Array.from({ length: rounds }, (_, at): Fault[] => [
      ...["leave", "kill", "kill leader"] as const,
      ...(at % 3 === 0 ? ["hang" as const] : []),
    ]).flat();
    const found = await failovers(chaos, {}, faults);
    const findings = failoverFindings(found);
    const { untilServed, gaps, leaderless } = found;
    // A machine that is busy with other things shows before the faults.
    const limits: [string, readonly number[], number][] = [
      ["leave", gaps.leave, 200],
      ["kill", [...untilServed.kill, ...untilServed["kill leader"]], 5_000],
      ["hang", untilServed.hang, 19_000],
      ["leader", leaderless, 17_000],
    ];
    const late = limits.filter(([, times, limit]) => times.some((ms) => ms > limit));
    if (late.length === 0) return findings;
    throw new Error(`Too late: ${late.map(([what]) => what)}: ${JSON.stringify(findings)}`);
  },
};
