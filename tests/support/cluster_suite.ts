/**
 * A contract's suite on a cluster of three nats-servers, which is started once for all its tests.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { Scene } from "./fixture.ts";
import { type Skip, unlessSkipped } from "./skip.ts";

/** The tools that run a suite. */
export interface ClusterStage {
  /** Registers a test of the suite: each is a step, and may leave nothing behind on the servers. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** Connects a store of the test under way; one after the other is at another server. */
  readonly connect: () => Promise<NatsConnection>;
}

/** Runs what `register` registers as one test. */
export function clusterSuite(
  name: string,
  register: (stage: ClusterStage) => void,
  { skip = false }: { readonly skip?: Skip } = {},
): void {
  const fn = async (t: Deno.TestContext): Promise<void> => {
    await using cluster = await NatsCluster.start(3);
    const { servers } = cluster;
    const tests: [string, () => Promise<void>][] = [];
    let scene: Scene;
    let connections = 0;
    register({
      test: (name, run) => void tests.push([name, run]),
      connect: async () => {
        const server = servers[connections++ % servers.length]!;
        const connection = await scene.connect({ servers: server.url });
        assertEquals(connection.info?.server_name, server.name);
        return connection;
      },
    });
    for (const [name, run] of tests) {
      await t.step(name, async () => {
        scene = new Scene(servers);
        try {
          await run();
          await scene.assertNoLeaks();
          await removeStreams(await scene.connect());
        } finally {
          await scene.close();
        }
      });
    }
  };
  Deno.test({ ...unlessSkipped(name, skip), fn });
}

/** An idle stream of three replicas costs its servers CPU, too. */
async function removeStreams(connection: NatsConnection): Promise<void> {
  const jsm = await jetstreamManager(connection);
  const names = await Array.fromAsync(jsm.streams.names());
  await Promise.all(names.map((name) => jsm.streams.delete(name)));
}
