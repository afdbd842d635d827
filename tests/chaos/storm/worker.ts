/**
 * One process of a storm: calls a store, follows it, stands for leader. Its argument is
 * {@linkcode WorkerOptions} in JSON; it takes the lines `calm` and `finish <position>`.
 *
 * It runs on Node too, so it names nothing of Deno's.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { connect } from "@nats-io/transport-node";
import { NatsEventBus } from "../../../bus/mod.ts";
import {
  isAetherError,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  KvCheckpointStore,
  ProjectionLeases,
} from "../../../store/mod.ts";
import { faultyConnection } from "../../../testing/faulty_connection.ts";
import { seededRandom } from "../../support/proxy.ts";
import { Client } from "./acts.ts";
import { Followers, openRows } from "./followers.ts";
import { Recorder } from "./history.ts";
import { clusterNamespace, joinCluster, send } from "./node.ts";
import { campaign, openElection } from "./reign.ts";

/** How a process of a storm works. */
export interface WorkerOptions {
  readonly servers: readonly string[];
  readonly namespace: string;
  readonly replicas: number;
  /** The folder of histories and of the read model. */
  readonly folder: string;
  readonly seed: number;
  /** When the storm began, in ms since 1970. */
  readonly begin: number;
  /** How many calls are under way at once, and the mean wait behind each, in ms. */
  readonly lanes: number;
  readonly every: number;
  /** How long leaders lead without a word, in ms. */
  readonly lease: number;
  /** Names the processes that use the same ids, and this one. */
  readonly pair: string;
  /** Whether its connection loses and doubles messages by itself. */
  readonly isFaulty: boolean;
  /** Whether its saves of different actors go out together. */
  readonly groupCommit: boolean;
}

const { nodeId, life, ...options } = JSON.parse(process.argv[2]!) as
  & WorkerOptions
  & { readonly nodeId: string; readonly life: number };
const { namespace, replicas, folder, seed } = options;
const history = `${folder}/${nodeId}.history`;
const recorder = new Recorder(history, nodeId, life);
const random = seededRandom(seed * 1_000_003 + life * 97 + nodeId.charCodeAt(1));

/** The errors of a socket whose other side has ended it. */
const ENDED_SOCKET = new Set<string | undefined>([
  ...["EPIPE", "ECONNRESET", "ERR_STREAM_WRITE_AFTER_END"],
]);

// A socket that is cut under a write may fail where nats.js listens no more: the runtime's matter.
process.on("uncaughtException", (error: Error & { readonly code?: string }) => {
  recorder.see("uncaught", String(error));
  if (ENDED_SOCKET.has(error.code)) return;
  console.error(error);
  process.exit(1);
});

function tell(kind: string): void {
  process.stdout.write(`${JSON.stringify({ nodeId, life, kind })}\n`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Opens something as often as it takes: the servers may be down at the moment. */
async function opened<T>(open: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const isPassing = isAetherError(error, "StoreUnavailableError") ||
        isAetherError(error, "StoreRefusedError"); // The stream may be full.
      if (!isPassing) recorder.see("failed", `open: ${error}`);
      await pause(50);
    }
  }
}

const settings = { reconnectTimeWait: 100, pingInterval: 1_000, maxPingOut: 2 };
const connection = await connect({
  ...{ servers: [...options.servers], maxReconnectAttempts: -1, timeout: 4_000, ...settings },
  waitOnFirstConnect: true,
});
// Of a batch whose end comes twice the second answer is a refusal; with the first one eaten, the
// store tells that nothing was saved. No network doubles what a client publishes.
const faulty = faultyConnection(connection, {
  ...{ seed: seed + life, loseAck: 0.05, drop: 0.03, delay: 0.05, cut: 0.003 },
  only: (subject) => options.isFaulty && subject.includes(".event."),
});
const shared = { namespace, replicas, timeout: 3_000, shards: 16 };
const bus = new NatsEventBus(connection, { onReconnect() {} });
const store = await opened(() =>
  JetStreamEventStore.open(faulty, {
    ...{ ...shared, groupCommit: options.groupCommit, broadcaster: bus, onBroadcastError() {} },
  })
);
const kept = { namespace, replicas };
const snapshots = await opened(() => JetStreamSnapshotStore.open(connection, kept));
const checkpoints = await opened(() => KvCheckpointStore.open(connection, kept));
const leases = await opened(() => ProjectionLeases.open(connection, { ...kept, lease: 3_000 }));
const followers = new Followers({
  ...{ store, bus, checkpoints, leases, recorder, history },
  db: await openRows(`${folder}/rows.db`),
});

const node = {
  ...{ connection, namespace: clusterNamespace(namespace), replicas, nodeId, life, recorder },
  ...{ random, lease: options.lease },
};
const cluster = await opened(() => joinCluster(node));

const calm = new AbortController();
const candidate = {
  ...{ connection, options: shared, name: nodeId, recorder, lease: options.lease },
  ...{ every: options.every, signal: calm.signal },
};
const election = await opened(() => openElection(candidate));
const client = new Client({
  ...{ store, snapshots, recorder, random, pair: options.pair, begin: options.begin },
  name: `${nodeId}x${life}`,
});
const lanes = Array.from({ length: options.lanes }, async () => {
  while (!calm.signal.aborted) {
    if (random() < 0.1) await send(node, cluster);
    else await client.act();
    await pause(options.every * 2 * random());
  }
});
const reign = campaign(candidate, election);
const watching = setInterval(() => {
  const faults: Record<string, number> = {};
  for (const { kind } of faulty.faults) faults[kind] = (faults[kind] ?? 0) + 1;
  if (options.isFaulty) recorder.see("faults", faults);
}, 500);
tell("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [order, position] = line.split(" ");
  if (order === "calm") {
    calm.abort();
    faulty.calm();
    await Promise.all([...lanes, reign]);
    tell("calm");
  } else if (order === "finish") {
    await followers.reached(Number(position));
    tell("finished");
  }
}
clearInterval(watching);
await cluster.leave();
await followers[Symbol.asyncDispose]();
await bus[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();
await connection.close();
process.exit(0);
