/**
 * Election safety: five candidates in processes of their own on three NATS servers, all of which
 * are killed and stopped by a seed. No two leases are valid at the same time, and terms grow.
 *
 * @module
 */

import { clusterBucket } from "../../cluster/subjects.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import type { NatsServer } from "../../tools/nats_server.ts";
import { Candidates } from "./candidates.ts";
import { checkReigns, type Reign, reignsOf } from "./reigns.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";

const NODES = ["a", "b", "c", "d", "e"];
const NAMESPACE = "chaos";
/** Short enough that most faults cost the lease. */
const LEASE = 3000;

/** Does harm to processes and servers, each kind at its share of the time. */
class Storm {
  readonly counts: Record<string, number> = {};
  readonly #chaos: Chaos;
  readonly #candidates: Candidates;
  readonly #cluster: NatsCluster;
  /** Harm that will be made good by itself. */
  readonly #healing = new Set<Promise<void>>();
  /**
   * The NATS server that is down or frozen: one at a time, as otherwise no candidate could lead for
   * long.
   */
  #hurt: NatsServer | undefined;

  constructor(chaos: Chaos, candidates: Candidates, cluster: NatsCluster) {
    this.#chaos = chaos;
    this.#candidates = candidates;
    this.#cluster = cluster;
  }

  /** Does harm for as long as the chaos lasts, then makes all good. */
  async run(): Promise<void> {
    const end = performance.now() + this.#chaos.duration;
    while (performance.now() < end) {
      await this.#harm();
      await pause(this.#chaos.between(200, 2500));
    }
    await Promise.all(this.#healing);
  }

  async #harm(): Promise<void> {
    const chance = this.#chaos.random();
    const leader = this.#candidates.leader;
    if (leader !== undefined && chance < 0.25) this.#restart(leader, "leaders killed");
    else if (leader !== undefined && chance < 0.6) await this.#freeze(leader, "leaders stopped");
    else if (chance < 0.7) await this.#freeze(this.#chaos.pick(NODES), "candidates stopped");
    else await this.#hurtServer(chance < 0.85);
  }

  #restart(nodeId: string, what: string): void {
    this.#did(what, nodeId);
    const ms = this.#chaos.between(0, 1000);
    this.#heal(async () => {
      await this.#candidates.kill(nodeId);
      await pause(ms);
      this.#candidates.start(nodeId);
    });
  }

  async #freeze(nodeId: string, what: string): Promise<void> {
    if (!await this.#candidates.stop(nodeId)) return;
    const ms = this.#chaos.between(0.2, 2.5) * LEASE;
    this.#did(what, `${nodeId} for ${ms.toFixed()} ms`);
    this.#heal(async () => {
      await pause(ms);
      this.#candidates.resume(nodeId);
    });
  }

  async #hurtServer(isKill: boolean): Promise<void> {
    if (this.#hurt !== undefined) return;
    const server = this.#hurt = this.#chaos.random() < 0.7
      ? await this.#cluster.leaderOf(`KV_${clusterBucket(NAMESPACE)}`)
        .catch(() => this.#chaos.pick(this.#cluster.servers))
      : this.#chaos.pick(this.#cluster.servers);
    const ms = this.#chaos.between(500, 8000);
    this.#did(
      isKill ? "servers killed" : "servers stopped",
      `${server.name} for ${ms.toFixed()} ms`,
    );
    if (isKill) await server.kill();
    else await server.pause();
    this.#heal(async () => {
      await pause(ms);
      if (isKill) await server.restart();
      else server.resume();
      this.#hurt = undefined;
    });
  }

  #did(what: string, whom: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
    this.#chaos.log(`${what}: ${whom}`);
  }

  #heal(work: () => Promise<void>): void {
    const healing = work().finally(() => this.#healing.delete(healing));
    this.#healing.add(healing);
  }
}

/** Whatever the storm did, a candidate leads again after it. */
async function reelected(candidates: Candidates, patience: number): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`Nobody led for ${patience} ms after the storm`)),
    patience,
  );
  try {
    await Promise.race([late, candidates.next(({ kind }) => kind === "taken")]);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs the storm; gives what the candidates believed, and how often what was done. */
async function storm(chaos: Chaos): Promise<{ reigns: Reign[]; counts: Findings }> {
  await using cluster = await NatsCluster.start(3);
  await using candidates = new Candidates({
    servers: cluster.urls,
    namespace: NAMESPACE,
    replicas: 3,
    timings: { lease: LEASE, renew: 500 },
    connection: { reconnectTimeWait: 100, pingInterval: 1000, maxPingOut: 2 },
    reign: 15_000,
    slow: 1,
  });
  for (const nodeId of NODES) candidates.start(nodeId);
  await candidates.next(({ kind }) => kind === "taken", 0);
  const harm = new Storm(chaos, candidates, cluster);
  await harm.run();
  await reelected(candidates, 60_000);
  await candidates.endAll();
  return { reigns: reignsOf(candidates.notes), counts: harm.counts };
}

/** See above. */
export const election: Scenario = {
  description: "five candidates; kill -9 and SIGSTOP on leaders and NATS servers: at most one " +
    "valid lease at any time, terms only grow",
  minutes: 30,
  async run(chaos) {
    const { reigns, counts } = await storm(chaos);
    for (const { nodeId, term, from, until, reason = "was killed" } of reigns) {
      chaos.log(
        `"${nodeId}" led in term ${term} from ${from.toFixed()} to ${until.toFixed()}, ${reason}`,
      );
    }
    const shortest = checkReigns(reigns);
    const ends: Record<string, number> = {};
    for (const { reason = "killed" } of reigns) ends[reason] = (ends[reason] ?? 0) + 1;
    return { leases: reigns.length, ...ends, "closest ms": shortest.toFixed(1), ...counts };
  },
};
