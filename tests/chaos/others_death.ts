/**
 * Others' death: members in processes and connections of their own, on each of three NATS servers
 * of which one is killed again and again, under load. None of them is ever taken for gone.
 *
 * @module
 */

import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { Discovery } from "../../cluster/membership/discovery.ts";
import { createEvent, type EventStore, JetStreamEventStore } from "../../store/mod.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { Hall, viewIs } from "../cluster/membership/discovery_bed.ts";
import { NodeProcess } from "../cluster/membership/discovery_process.ts";
import { Scene } from "../support/fixture.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";
import { assertVerified } from "../support/verified.ts";

/** How often in a minute a server is killed: as often as the cluster gets whole again. */
const KILLS = 4;

/** How often a server is killed, and how long it may be down, in ms. */
export interface OthersDeathOptions {
  readonly kills: number;
  readonly down: number;
}

/** Reconnects as nats.js does by default. */
const SLOW: NodeConnectionOptions = {
  noRandomize: true,
  reconnectTimeWait: 2000,
  reconnectJitter: 100,
};

/** Kills the servers of `cluster` in turn; gives what was seen, throws where a member was taken for gone. */
export async function othersDeath(
  hall: Hall,
  cluster: NatsCluster,
  chaos: Chaos,
  { kills, down }: OthersDeathOptions,
): Promise<Findings> {
  await using stack = new AsyncDisposableStack();
  const { namespace } = hall.scene;
  const discoveries: Discovery[] = [];
  const connections = [];
  const lives: string[] = [];
  for (const [at, { url }] of cluster.servers.entries()) {
    const servers = [url, ...cluster.urls.filter((other) => other !== url)];
    const node = await hall.join({ nodeId: `c${at}` }, { servers, ...SLOW });
    discoveries.push(node.discovery);
    connections.push(node.connection);
    const process = new NodeProcess(servers, { namespace, nodeId: `p${at}` }, SLOW);
    stack.use(process);
    lives.push(node.discovery.incarnation, await process.joined());
  }
  const check = (view: Discovery["view"]) => {
    if (view.departed.length === 0) return;
    throw new Error(`Members were taken for gone: ${JSON.stringify(view.departed)}`);
  };
  hall.crashed = Infinity; // Consumers that are deleted while the stream has no leader stay a while.
  const busy = new AbortController();
  const stores = await Promise.all(connections.map(async (connection) => {
    const options = { namespace: `${namespace}-load`, replicas: 3 };
    return stack.use(await JetStreamEventStore.open(connection, options));
  }));
  const loads = stores.map((store, at) => load(store, `load-${at}`, busy.signal));
  const [watcher] = discoveries;
  for (let kill = 1; kill <= kills; kill++) {
    const server = chaos.pick(cluster.servers);
    await server.kill();
    chaos.log(`${kill}: ${server.name} is killed, "${watcher!.view.coordinator}" coordinates`);
    await pause(chaos.between(0, down));
    await server.restart();
    await cluster.waitHealthy();
    for (const { view } of discoveries) check(view);
  }
  busy.abort();
  const saved = (await Promise.all(loads)).reduce((sum, count) => sum + count, 0);
  await assertVerified(connections[0]!, `${namespace}-load`);
  for (const discovery of discoveries) {
    const view = await viewIs(discovery, ({ members }) => members.length === lives.length);
    check(view);
    const there = view.members.map(({ incarnation }) => incarnation);
    if (there.join() !== lives.join()) throw new Error(`The members are others: ${there}`);
  }
  return { kills, "members taken for gone": 0, "events saved meanwhile": saved };
}

/** Saves events until `signal` is aborted; gives how many. */
async function load(store: EventStore, actorId: string, signal: AbortSignal): Promise<number> {
  let saved = 0;
  for (let version = 1; !signal.aborted; version++) {
    const event = createEvent({ eventType: "Happened", actorId, version, data: { version } });
    await store.saveEvent(event).then(() => saved++, () => {}); // Unavailable at times.
  }
  return saved;
}

/** See the module. */
export const othersDeathScenario: Scenario = {
  description: "one of three NATS servers is killed under load: no member is taken for gone",
  minutes: 5,
  run: async (chaos) => {
    const kills = Math.max(1, Math.round(chaos.duration / 60_000 * KILLS));
    await using cluster = await NatsCluster.start(3);
    const scene = new Scene(cluster.servers);
    const hall = new Hall(scene);
    try {
      return await othersDeath(hall, cluster, chaos, { kills, down: 10_000 });
    } finally {
      await hall.close();
      await scene.close();
    }
  },
};
