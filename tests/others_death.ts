import { assertEquals } from "@std/assert";
import type { Discovery } from "../cluster/discovery.ts";
import { createEvent, JetStreamEventStore } from "../store/mod.ts";
import type { NatsCluster } from "../tools/nats_cluster.ts";
import { type Hall, viewIs } from "./discovery_bed.ts";
import { nextStatus } from "./fixture.ts";

/** What came of {@linkcode othersDeath}. */
export interface OthersDeathReport {
  readonly kills: number;
  /** Members whose connection was lost, over all kills. */
  readonly disconnected: number;
  /** Events that were saved meanwhile. */
  readonly saved: number;
}

/** Nodes on each server. */
const NODES = 2;

/**
 * Kills servers of `cluster` one after another under load, with members of one cluster attached to
 * each of them, and checks that none of these was ever taken for gone.
 */
export async function othersDeath(
  hall: Hall,
  cluster: NatsCluster,
  kills: number,
): Promise<OthersDeathReport> {
  // Reconnecting as nats.js does unless told otherwise.
  const slow = { reconnectTimeWait: 2000, reconnectJitter: 100 };
  const nodes = [];
  for (let at = 0; at < NODES * cluster.servers.length; at++) {
    const { url } = cluster.servers[at % cluster.servers.length]!;
    const others = cluster.urls.filter((other) => other !== url);
    const servers = [url, ...others];
    nodes.push(await hall.join({ nodeId: `n${at}` }, { servers, noRandomize: true, ...slow }));
  }
  const discoveries = nodes.map(({ discovery }) => discovery);
  const isWhole = (discovery: Discovery) =>
    viewIs(discovery, ({ members }) => members.length === nodes.length);
  await Promise.all(discoveries.map(isWhole));
  const lives = discoveries.map(({ incarnation }) => incarnation);

  hall.crashed = Infinity; // Consumers that are deleted while the stream has no leader stay for a while.
  const busy = new AbortController();
  const loads = nodes.map(({ connection }, at) =>
    load(connection, `${hall.scene.namespace}-load`, `load-${at}`, busy.signal)
  );
  let disconnected = 0;
  for (let kill = 0; kill < kills; kill++) {
    const server = cluster.servers[kill % cluster.servers.length]!;
    const lost = nodes.filter(({ connection }) =>
      connection.getServer() === `127.0.0.1:${server.port}`
    );
    disconnected += lost.length;
    const back = lost.map(({ connection }) => nextStatus(connection, "reconnect"));
    await server.kill();
    await Promise.all(back);
    await server.restart();
    await cluster.waitHealthy();
    for (const { view } of discoveries) assertEquals(view.departed, []);
  }
  busy.abort();
  const saved = (await Promise.all(loads)).reduce((sum, count) => sum + count, 0);
  for (const [at, discovery] of discoveries.entries()) {
    const { members, departed } = await isWhole(discovery);
    assertEquals(departed, []);
    assertEquals(discovery.incarnation, lives[at]);
    assertEquals(members.map(({ incarnation }) => incarnation), lives);
  }
  return { kills, disconnected, saved };
}

/** Saves events until `signal` is aborted; gives how many. */
async function load(
  connection: Parameters<typeof JetStreamEventStore.open>[0],
  namespace: string,
  actorId: string,
  signal: AbortSignal,
): Promise<number> {
  await using store = await JetStreamEventStore.open(connection, { namespace, replicas: 3 });
  let saved = 0;
  for (let version = 1; !signal.aborted; version++) {
    const event = createEvent({ eventType: "Happened", actorId, version, data: { version } });
    await store.saveEvent(event).then(() => saved++, () => {});
  }
  return saved;
}
