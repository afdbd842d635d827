import { assert, assertEquals } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { JetStreamEventStore } from "../../../store/mod.ts";
import type { NatsServer } from "../../../tools/nats_server.ts";
import { assertTruthful, storedIn } from "../../support/fault.ts";
import { Load } from "../../support/fault_load.ts";
import { type ClusterScene, clusterTest, type Scene } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";
import { consumersOf, Watch } from "../../support/watch.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

/** A subscription on each of the three servers, and a load by three other stores. */
class Nodes implements AsyncDisposable {
  readonly stream: string;
  readonly connection: NatsConnection;
  readonly watches: readonly Watch[];
  readonly load: Load;
  readonly #stores: readonly JetStreamEventStore[];

  private constructor(connection: NatsConnection, stores: readonly JetStreamEventStore[]) {
    this.connection = connection;
    this.stream = stores[0]!.stream;
    this.#stores = stores;
    this.watches = stores.slice(0, 3).map((store) => new Watch(store.subscribe()));
    this.load = new Load(stores.slice(3), 12, 20);
  }

  static async open(scene: ClusterScene): Promise<Nodes> {
    const { namespace } = scene;
    const stores: JetStreamEventStore[] = [];
    for (const timeout of [3_000, 30_000]) {
      for (const { url } of scene.servers) {
        // One that loses its server goes to another, as a client in production does.
        const servers = [url, ...scene.servers.map((server) => server.url)];
        const connection = await scene.connect({ servers, noRandomize: true });
        stores.push(
          await JetStreamEventStore.open(connection, { namespace, replicas: 3, timeout }),
        );
      }
    }
    return new Nodes(await scene.connect(), stores);
  }

  /** Ends the load; all that is stored has to come, on each server. */
  async assertSaw(scene: Scene): Promise<void> {
    const outcomes = await this.load.stop();
    const stored = await storedIn(await scene.connect(), this.stream);
    assertTruthful(outcomes, stored);
    for (const watch of this.watches) await watch.assertSaw(stored);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of this.#stores) await store[Symbol.asyncDispose]();
    for (const watch of this.watches) assertEquals(await watch.end(), undefined);
  }
}

/** The server that a consumer lives on. */
async function hostOf(scene: ClusterScene, { connection, stream }: Nodes): Promise<NatsServer> {
  for (;;) {
    const [name] = await consumersOf(connection, stream).catch(() => []);
    if (name === undefined) continue;
    const info = await api<{ cluster?: { leader?: string } }>(
      connection,
      `CONSUMER.INFO.${stream}.${name}`,
    ).catch(() => undefined);
    const host = scene.servers.find((server) => server.name === info?.cluster?.leader);
    if (host !== undefined) return host;
  }
}

clusterTest(
  "Leaders that step down: each event comes once, in order, everywhere",
  async (scene) => {
    await using nodes = await Nodes.open(scene);
    const { connection, stream, load } = nodes;
    for (let round = 0; round < (LONG ? 30 : 5); round++) {
      await load.further(LONG ? 200 : 60);
      await api(connection, `STREAM.LEADER.STEPDOWN.${stream}`).catch(() => {});
      for (const name of await consumersOf(connection, stream).catch(() => [])) {
        await api(connection, `CONSUMER.LEADER.STEPDOWN.${stream}.${name}`).catch(() => {});
      }
    }
    await load.further(60);
    await nodes.assertSaw(scene);
  },
);

clusterTest("A consumer's server killed: each event comes once, everywhere", async (scene) => {
  await using nodes = await Nodes.open(scene);
  const { load } = nodes;
  for (let round = 0; round < (LONG ? 5 : 1); round++) {
    await load.further(100);
    const host = await hostOf(scene, nodes);
    await host.kill();
    await load.further(100);
    await host.restart();
    await scene.cluster.waitHealthy();
  }
  await load.further(100);
  await nodes.assertSaw(scene);
});

clusterTest("A consumer's server frozen: each event comes once, everywhere", async (scene) => {
  await using nodes = await Nodes.open(scene);
  const { load, watches } = nodes;
  await load.further(100);
  const host = await hostOf(scene, nodes);
  await host.pause();
  await load.further(100);
  // Those that are attached to living servers go on meanwhile.
  const others = watches.filter((_, at) => scene.servers[at] !== host);
  assert(others.length === 2);
  for (const watch of others) await watch.further(200);
  host.resume();
  await scene.cluster.waitHealthy();
  await load.further(100);
  await nodes.assertSaw(scene);
});
