/**
 * Runs a reactor in a process of its own: each event of `order` takes a piece of `stock-pen`. Says
 * `ready` at its first event, and ends with its input.
 *
 *     worker.ts <url> <namespace>
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import {
  JetStreamEventStore,
  KvCheckpointStore,
  ProjectionLeases,
  Reactor,
} from "../../../store/mod.ts";
import { Stock } from "./bed.ts";

if (import.meta.main) {
  const [url = "", namespace = ""] = Deno.args;
  const connection = await connect({ servers: url, maxReconnectAttempts: -1 });
  const store = await JetStreamEventStore.open(connection, { namespace });
  const checkpoints = await KvCheckpointStore.open(connection, { namespace });
  const leases = await ProjectionLeases.open(connection, { namespace, lease: 2_000 });
  const decider = new Stock();
  let isReady = false;
  const reactor = new Reactor({
    ...{ name: "reserve", store, checkpoints, leases, from: "start", partitions: 4 },
    filter: { category: "order" },
    onError() {}, // Kills and freezes are meant.
    react: () => {
      if (!isReady) console.log("ready");
      isReady = true;
      return { actorId: "stock-pen", decider, command: { take: 1 } };
    },
  });
  const running = reactor.run();
  await Promise.race([running, Deno.stdin.readable.pipeTo(new WritableStream())]);
  await reactor[Symbol.asyncDispose]();
  Deno.exit(0);
}
