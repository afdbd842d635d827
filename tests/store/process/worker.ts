/**
 * Runs a reactor in a process of its own, where each event of `order` takes a piece of `stock-pen`;
 * or the manager of the orders' processes. Says `ready` at its first event, and ends with its input.
 *
 *     worker.ts <url> <namespace> reactor|manager
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import {
  JetStreamEventStore,
  KvCheckpointStore,
  ProcessManager,
  ProjectionLeases,
  Reactor,
} from "../../../store/mod.ts";
import { Stock } from "./bed.ts";
import { orderProcess, targets } from "./order.ts";

if (import.meta.main) {
  const [url = "", namespace = "", what = "reactor"] = Deno.args;
  const connection = await connect({ servers: url, maxReconnectAttempts: -1 });
  const store = await JetStreamEventStore.open(connection, { namespace });
  const checkpoints = await KvCheckpointStore.open(connection, { namespace });
  const leases = await ProjectionLeases.open(connection, { namespace, lease: 2_000 });
  const decider = new Stock();
  let isReady = false;
  const ready = (): void => {
    if (!isReady) console.log("ready");
    isReady = true;
  };
  const shared = {
    ...{ store, checkpoints, leases, from: "start", partitions: 4 } as const,
    filter: { category: "order" },
    onError() {}, // Kills and freezes are meant.
  };
  const process = orderProcess();
  const running = what === "reactor"
    ? new Reactor({
      ...{ ...shared, name: "reserve" },
      react: () => {
        ready();
        return { actorId: "stock-pen", decider, command: { take: 1 } };
      },
    })
    : new ProcessManager({
      ...shared,
      deciders: targets(),
      process: {
        ...process,
        react: (...input) => {
          ready();
          return process.react(...input);
        },
      },
    });
  await Promise.race([running.run(), Deno.stdin.readable.pipeTo(new WritableStream())]);
  await running[Symbol.asyncDispose]();
  Deno.exit(0);
}
