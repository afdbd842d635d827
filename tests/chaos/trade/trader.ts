/**
 * A program that runs the processes of orders, until its input ends. Its argument is
 * {@linkcode TraderOptions} in JSON.
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import {
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
  ProcessManager,
  ProjectionLeases,
} from "../../../store/mod.ts";
import { TARGETS, tradeProcess } from "./trade.ts";

/** The options of a program. */
export interface TraderOptions {
  readonly servers: readonly string[];
  readonly namespace: string;
  readonly replicas: number;
  /** Which version of the code it runs. */
  readonly deploy: 1 | 2;
}

if (import.meta.main) {
  const { servers, namespace, replicas, deploy, nodeId, life } = JSON.parse(Deno.args[0]!) as
    & TraderOptions
    & { readonly nodeId: string; readonly life: number };
  const connection = await connect({ servers: [...servers], maxReconnectAttempts: -1 });
  const shared = { namespace, replicas };
  /** Opens something as often as it takes: the servers may be down at the moment. */
  const opened = async <T>(open: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await open();
      } catch (error) {
        if (!isAetherError(error, "StoreUnavailableError")) throw error;
      }
    }
  };
  const manager = new ProcessManager({
    process: tradeProcess(deploy),
    store: await opened(() => JetStreamEventStore.open(connection, shared)),
    checkpoints: await opened(() => KvCheckpointStore.open(connection, shared)),
    leases: await opened(() => ProjectionLeases.open(connection, { ...shared, lease: 2_000 })),
    ...{ filter: { eventTypes: ["OrderPlaced", "CustomerPaid"] }, from: "start" },
    ...{ deciders: TARGETS, partitions: 8, retry: { attempts: 3, delay: 50 } },
    onError() {}, // Outages are meant.
  });
  const running = manager.run();
  console.log(JSON.stringify({ nodeId, life, kind: "runs" }));
  await Promise.race([running, Deno.stdin.readable.pipeTo(new WritableStream())]);
  await manager[Symbol.asyncDispose]();
  await running;
  Deno.exit(0);
}
