/**
 * Durability: all three NATS servers are killed at the same moment, under load, again and again; once
 * with the servers' own way to sync and once with `sync_interval: always`. What was acknowledged is
 * still there, each event once.
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { JetStreamEventStore } from "../../store/mod.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { assertTruthful, storedIn, tally } from "../support/fault.ts";
import { Load } from "../support/fault_load.ts";
import type { Chaos, Findings, Scenario } from "./scenario.ts";

const ACTORS = 16;

/** Kills all servers at once until `chaos` is over; gives what was seen. */
export async function killedTogether(
  chaos: Chaos,
  duration: number,
  sync?: "always",
): Promise<Findings> {
  await using nats = await NatsCluster.start(3, sync === undefined ? {} : { sync });
  const connection = await connect({ servers: nats.urls, maxReconnectAttempts: -1 });
  try {
    await using store = await JetStreamEventStore.open(connection, {
      ...{ namespace: "chaos", replicas: 3 },
    });
    const load = new Load([store], ACTORS);
    const end = performance.now() + duration;
    let kills = 0;
    while (performance.now() < end) {
      // Somewhere in the middle of what goes on.
      await load.further(Math.ceil(chaos.between(50, 500)));
      await Promise.all(nats.servers.map((server) => server.kill()));
      kills++;
      chaos.log(`all servers are killed: ${load.outcomes.length} saves have ended`);
      await Promise.all(nats.servers.map((server) => server.restart()));
      await nats.waitHealthy();
    }
    await load.further(ACTORS);
    const outcomes = await load.stop();
    const stored = await storedIn(connection, store.stream);
    assertTruthful(outcomes, stored);
    return { kills, "events stored": stored.length, ...tally(outcomes) };
  } finally {
    await connection.close();
  }
}

async function run(chaos: Chaos): Promise<Findings> {
  const named = (name: string, findings: Findings): Findings =>
    Object.fromEntries(Object.entries(findings).map(([key, value]) => [`${name}: ${key}`, value]));
  return {
    ...named("default", await killedTogether(chaos, chaos.duration / 2)),
    ...named("always", await killedTogether(chaos, chaos.duration / 2, "always")),
  };
}

/** See above. */
export const durability: Scenario = {
  description:
    "all three NATS servers killed at the same moment under load, with the servers' own " +
    "way to sync and with sync_interval always: nothing acknowledged is lost",
  minutes: 6,
  run,
};
