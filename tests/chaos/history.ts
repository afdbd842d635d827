/**
 * History: five owners in processes of their own and a hundred actors on three NATS servers; owners
 * are killed, stopped, sent away and brought back, servers killed. The stored log tells whether
 * each event was written by the owner of its shard, and each acked command is there once.
 *
 * @module
 */

import type { ClusterOptions } from "../../cluster/options.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { Owners } from "./owners.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";
import { Sender } from "./senders.ts";
import { checkLog, readLog } from "./stored_log.ts";
import { assertVerified } from "../support/verified.ts";

const NODES = ["a", "b", "c", "d", "e"];
const NAMESPACE = "chaos";
const ACTORS = 100;
const SENDERS = 3;
/** Short enough that pauses cost shards. */
const TTL = 3000;

const OPTIONS: ClusterOptions = {
  namespace: NAMESPACE,
  replicas: 3,
  shards: 64,
  lease: TTL,
  heartbeatTtl: TTL,
  ping: 200,
  crash: 1200,
  outage: 400,
  drainTimeout: 1000,
  leaveTimeout: 3000,
};
const CONNECTION = { reconnectTimeWait: 100, pingInterval: 1000, maxPingOut: 2 };

/** Does harm to owners and servers, each kind at its share of the time. */
class Storm {
  readonly counts: Record<string, number> = {};
  readonly #chaos: Chaos;
  readonly #owners: Owners;
  readonly #nats: NatsCluster;
  /** Harm that will be made good by itself, by whom it was done to. */
  readonly #healing = new Map<string, Promise<void>>();

  constructor(chaos: Chaos, owners: Owners, nats: NatsCluster) {
    this.#chaos = chaos;
    this.#owners = owners;
    this.#nats = nats;
  }

  /** Does harm for as long as the chaos lasts, then makes all good. */
  async run(): Promise<void> {
    const end = performance.now() + this.#chaos.duration;
    while (performance.now() < end) {
      this.#harm();
      await pause(this.#chaos.between(200, 2500));
    }
    await Promise.all(this.#healing.values());
  }

  #harm(): void {
    const { between, random } = this.#bound();
    const kind = random();
    const ms = between(0.2, 2.5) * TTL;
    const nodeId = this.#chaos.pick(NODES);
    // One at least is left alone.
    const isBusy = this.#healing.has(nodeId) || NODES.length - this.#healing.size <= 1;
    if (kind > 0.85) return this.#hurtServer(ms);
    if (isBusy) return;
    if (kind < 0.3) {
      this.#did("kills", nodeId, async () => {
        await this.#owners.kill(nodeId);
        await pause(ms / 3);
        await this.#owners.join(nodeId);
      });
    } else if (kind < 0.65) {
      this.#did(`stops`, nodeId, async () => {
        await this.#owners.stop(nodeId);
        await pause(ms);
        this.#owners.resume(nodeId);
      });
    } else {
      this.#did("leaves", nodeId, async () => {
        await this.#owners.leave(nodeId);
        await pause(ms / 3);
        await this.#owners.join(nodeId);
      });
    }
  }

  #hurtServer(ms: number): void {
    const server = this.#chaos.pick(this.#nats.servers);
    if (this.#healing.has("nats")) return;
    this.#did("servers killed", "nats", async () => {
      await server.kill();
      await pause(ms);
      await server.restart();
    });
  }

  #bound(): { between: Chaos["between"]; random: () => number } {
    const chaos = this.#chaos;
    return { between: (least, most) => chaos.between(least, most), random: chaos.random };
  }

  #did(what: string, whom: string, work: () => Promise<void>): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
    this.#chaos.log(`${what}: ${whom}`);
    this.#healing.set(whom, work().finally(() => this.#healing.delete(whom)));
  }
}

/** Runs the storm; gives what was seen, throws where the log is not as it has to be. */
async function run(chaos: Chaos): Promise<Findings> {
  await using nats = await NatsCluster.start(3);
  await using owners = new Owners({
    servers: nats.urls,
    cluster: OPTIONS,
    connection: CONNECTION,
  });
  await owners.join(...NODES);
  const senders: Sender[] = [];
  for (let at = 0; at < SENDERS; at++) {
    const options = { ...OPTIONS, nodeId: `sender-${at}` };
    // Owners look for commands in another way where their senders name them.
    const names = () => at === 0;
    senders.push(await Sender.join(nats.urls, options, { connection: CONNECTION, names }));
  }
  await senders[0]!.owned(...NODES);
  const sending = Array.from({ length: ACTORS }, (_, at) => {
    const every = chaos.between(100, 500);
    const pace = { replies: [], since: undefined };
    return senders[at % SENDERS]!.pace(`counter-${at}`, every, pace);
  });
  const storm = new Storm(chaos, owners, nats);
  await storm.run();
  chaos.log("the storm is over");
  const calm = performance.now();
  for (const sender of senders) sender.stop();
  await Promise.all(sending);
  chaos.log(`the last command is answered ${(performance.now() - calm).toFixed()} ms later`);
  await Promise.all(NODES.map((nodeId) => owners.leave(nodeId)));
  await nats.waitHealthy();
  const acked = senders.flatMap(({ acked }) => acked);
  const log = await readLog(senders[0]!.connection, NAMESPACE);
  await assertVerified(senders[0]!.connection, NAMESPACE);
  const { problems, counts } = checkLog(log, NAMESPACE, acked);
  const failed = senders.flatMap(({ failed }) => Object.entries(failed));
  for (const sender of senders) await sender[Symbol.asyncDispose]();
  if (problems.length > 0) throw new Error(problems.slice(0, 20).join("\n"));
  if (failed.length > 0) throw new Error(`Handlers failed: ${JSON.stringify(failed)}`);
  return {
    "commands acked": acked.length,
    "sent again": senders.reduce((sum, { doubts }) => sum + doubts, 0),
    ...counts,
    ...storm.counts,
  };
}

/** See above. */
export const history: Scenario = {
  description: "100 actors, 5 owners; kill -9, SIGSTOP, joins and leaves of owners, NATS servers " +
    "killed: events are the owners', each acked command is there once",
  minutes: 30,
  run,
};
