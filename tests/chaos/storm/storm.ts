/**
 * All together: processes save, run commands, read, follow, wait for deadlines and lead, while
 * everything that they stand on is harmed. Afterwards every promise is checked against what each
 * of them was told, and what is stored.
 *
 * @module
 */

import { connect, type NatsConnection } from "@nats-io/transport-node";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { mustRun } from "../../../tools/command.ts";
import { NatsCluster } from "../../../tools/nats_cluster.ts";
import { NatsServer } from "../../../tools/nats_server.ts";
import { installNode } from "../../../tools/node_smoke.ts";
import { ROOT } from "../../../tools/root.ts";
import { Proxy } from "../../support/proxy.ts";
import { assertVerified } from "../../support/verified.ts";
import { Crew, type CrewNote } from "../crew.ts";
import type { Note } from "../reigns.ts";
import { type Chaos, type Findings, pause, type Scenario } from "../scenario.ts";
import { checkLog, readLog } from "../stored_log.ts";
import { aftermath } from "./aftermath.ts";
import { check, described } from "./checker.ts";
import { type Evidence, Indexed, type Violation } from "./evidence.ts";
import { type History, historyOf } from "./history.ts";
import { type Ledger, ledgerOf } from "./ledger.ts";
import { Nemesis, type Servers } from "./nemesis.ts";
import { clusterNamespace } from "./node.ts";
import { outdated } from "./read_rules.ts";
import { faultsSeen, verdict } from "./verdict.ts";
import type { WorkerOptions } from "./worker.ts";

const NAMESPACE = "storm";
const STREAM = `AETHER_${NAMESPACE}`;
/** How long a leader leads without a word, in ms. */
const LEASE = 3_000;
/** How long processes that wait for deadlines may take to end in calm, in ms. */
const PATIENCE = 120_000;

/** How much goes on in a storm. */
export interface StormOptions {
  /** Processes; every second one shares its ids with the one before. */
  readonly workers?: number;
  /** Calls of each that are under way at once, and the mean wait behind one, in ms. */
  readonly lanes?: number;
  readonly every?: number;
  /** What runs the last of the processes: a program and its first arguments. @default {Deno} */
  readonly command?: readonly string[] | undefined;
}

/** What came of a storm. */
export interface Storm {
  readonly evidence: Evidence;
  readonly violations: readonly Violation[];
  /** How often what was done. */
  readonly faults: Readonly<Record<string, number>>;
  readonly findings: Findings;
}

/** Has a storm, and judges it; the histories stay in `folder`. */
export async function storm(
  chaos: Chaos,
  folder: string,
  { workers: count = 4, lanes = 6, every = 120, command }: StormOptions = {},
): Promise<Storm> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startServers(chaos.nodes));
  const urls = nats.servers.map(({ url }) => url);
  const admin = await connect({ servers: urls, maxReconnectAttempts: -1, timeout: 5_000 });
  stack.defer(() => admin.close());
  const workers = Array.from({ length: count }, (_, at) => `w${at + 1}`);
  const lines = new Map(workers.map((worker) => {
    const proxies = nats.servers.map((server) => stack.use(Proxy.start(server.port)));
    return [worker, proxies] as const;
  }));
  const crew = stack.use(
    new Crew<WorkerOptions, CrewNote>(new URL("worker.ts", import.meta.url), {
      ...{ servers: urls, namespace: NAMESPACE, replicas: chaos.nodes, folder, lanes, every },
      ...{ seed: chaos.seed, begin: Date.now(), lease: LEASE },
      ...{ pair: "", isFaulty: false, groupCommit: false }, // Of each its own: see below.
    }, (worker) => worker === workers.at(-1) ? command : undefined),
  );
  const own = new Map(workers.map((worker, at) => [worker, {
    servers: lines.get(worker)!.map(({ url }) => url),
    pair: `p${at >> 1}`,
    isFaulty: at === 1,
    groupCommit: at % 2 === 0,
  }]));
  const start = crew.start.bind(crew);
  crew.start = (worker, more) => start(worker, { ...own.get(worker), ...more });
  for (const worker of workers) crew.start(worker);
  for (const worker of workers) await crew.of(worker, "ready");
  chaos.log(`${count} processes on ${chaos.nodes} servers, histories in ${folder}`);

  const nemesis = new Nemesis({
    ...{ chaos, crew, workers, nats, lines, admin, stream: STREAM, lease: LEASE },
  });
  await nemesis.run();
  chaos.log("calm");
  const all = async (order: string, kind: string) => {
    await Promise.all(workers.map((worker) => crew.order(worker, order)));
    await Promise.all(workers.map((worker) => crew.of(worker, kind)));
  };
  await all("calm", "calm");
  await nats.waitHealthy();
  const { facts } = await alarmsOver(admin, chaos);
  await all(`finish ${facts.at(-1)!.position}`, "finished");
  await Promise.all(workers.map((worker) => crew.end(worker)));

  return await judged(chaos, folder, workers, admin, nemesis.counts);
}

/** What came of a storm that is over; then comes its aftermath. */
async function judged(
  chaos: Chaos,
  folder: string,
  workers: readonly string[],
  admin: NatsConnection,
  counts: Readonly<Record<string, number>>,
): Promise<Storm> {
  const ledger = ledgerOf(await readLog(admin, NAMESPACE), NAMESPACE);
  await Deno.writeTextFile(`${folder}/ledger.json`, JSON.stringify(ledger));
  const evidence = evidenceOf(await historyIn(folder, workers), ledger, folder, chaos.nodes);
  const violations = check(evidence);
  await assertVerified(admin, NAMESPACE).catch(({ message }: Error) => {
    violations.push({ rule: "storage format", message, operations: [] });
  });
  violations.push(...await inCluster(admin, evidence));
  const after = await aftermath(admin, NAMESPACE, chaos.nodes);
  violations.push(...after.violations);
  const faults = { ...counts, ...faultsSeen(evidence), ...after.faults };
  for (const line of verdict(evidence, faults)) chaos.log(line);
  for (const violation of violations.slice(0, 20)) chaos.log(described(violation));
  const { operations } = evidence;
  const ended = (outcome: string) => operations.filter((it) => it.outcome === outcome).length;
  const findings = {
    ...{ servers: chaos.nodes, operations: operations.length, acknowledged: ended("ok") },
    ...{ refused: ended("refused"), unknown: ended("unknown"), events: ledger.facts.length },
    "outdated reads": outdated(new Indexed(evidence)),
    faults: Object.values(faults).reduce((sum, count) => sum + count, 0),
    "told of losses": after.told,
    violations: violations.length,
  };
  return { evidence, violations, faults, findings };
}

async function startServers(nodes: 1 | 3): Promise<Servers & AsyncDisposable> {
  if (nodes === 3) return await NatsCluster.start(3, {});
  const server = await NatsServer.start();
  return {
    servers: [server],
    waitHealthy: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Whether the cluster's owners have written what was sent to them, one owner at a time. */
async function inCluster(admin: NatsConnection, evidence: Evidence): Promise<Violation[]> {
  const namespace = clusterNamespace(NAMESPACE);
  const acked = evidence.operations.flatMap(({ input, outcome, output: { version } }) => {
    if (input.type !== "send" || outcome !== "ok") return [];
    return [{ actorId: input.actorId, commandId: input.commandId, version }];
  });
  const { problems } = checkLog(await readLog(admin, namespace), namespace, acked);
  await assertVerified(admin, namespace).catch(({ message }: Error) => problems.push(message));
  return problems.map((message) => ({ rule: "cluster", message, operations: [] }));
}

/** Waits until each process that was asked for an alarm has ended; gives what is stored then. */
async function alarmsOver(admin: NatsConnection, chaos: Chaos): Promise<Ledger> {
  for (const end = performance.now() + PATIENCE;; await pause(1_000)) {
    const ledger = ledgerOf(await readLog(admin, NAMESPACE), NAMESPACE);
    const count = (wanted: string) => ledger.facts.filter(({ type }) => type === wanted).length;
    const isOver = count("Asked") <= count("ProcessEnded");
    if (isOver || performance.now() > end) return ledger;
    chaos.log(`${count("ProcessEnded")} of ${count("Asked")} processes have ended`);
  }
}

async function historyIn(folder: string, workers: readonly string[]): Promise<History> {
  return historyOf(
    await Promise.all(workers.map((worker) => Deno.readTextFile(`${folder}/${worker}.history`))),
  );
}

function evidenceOf(
  { operations, sightings }: History,
  ledger: Ledger,
  folder: string,
  nodes: number,
): Evidence {
  const db = new DatabaseSync(`${folder}/rows.db`);
  const rows = db.prepare("SELECT position FROM rows ORDER BY at").all()
    .map(({ position }) => Number(position));
  db.close();
  const reigns = sightings.filter(({ kind }) => kind === "lease")
    .map(({ worker: nodeId, life, what }) => ({ ...what as Note, nodeId, life }));
  return { operations, sightings, ledger, rows, reigns, nodes };
}

/** Puts the process's program and Node into `folder`; gives what runs it. */
async function onNode(folder: string): Promise<string[]> {
  const script = new URL("worker.ts", import.meta.url).pathname;
  const [bundle, config] = [`${folder}/worker.mjs`, join(ROOT, "deno.json")];
  const [node] = await Promise.all([
    installNode("latest", folder),
    mustRun(Deno.execPath(), ["bundle", "--quiet", "--config", config, "-o", bundle, script]),
  ]);
  await mustRun(node, ["--version"]);
  return [node, bundle];
}

/** See above. */
export const allTogether: Scenario = {
  description: "everything at once on one NATS server or three, everything harmed: what each " +
    "process was told is what is stored, in order, once",
  minutes: 3,
  async run(chaos) {
    const folder = await Deno.makeTempDir({ prefix: "aether-storm-" });
    const command = await onNode(folder).catch((error) => {
      chaos.log(`All processes run on Deno, as Node cannot be had: ${error}`);
      return undefined;
    });
    const { violations, findings: found } = await storm(chaos, folder, { command });
    const findings = { ...found, node: command === undefined ? "no" : "yes" };
    if (violations.length > 0) {
      const again = `deno task chaos all-together --minutes=${chaos.duration / 60_000} ` +
        `--seed=${chaos.seed} --nodes=${chaos.nodes}`;
      const shown = violations.slice(0, 20).map(described).join("\n");
      throw new Error(
        `${violations.length} promises are broken; see them again by ${again}; the histories are ` +
          `in ${folder}\n${shown}`,
      );
    }
    await Deno.remove(folder, { recursive: true });
    return findings;
  },
};
