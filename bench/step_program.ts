/**
 * A program that runs processes whose steps are measured, until its input ends. Its argument is JSON
 * with the servers, the namespace and the replicas.
 */
import { connect } from "@nats-io/transport-node";
import {
  JetStreamEventStore,
  KvCheckpointStore,
  ProcessManager,
  ProjectionLeases,
} from "../mod.ts";
import { steppingOptions } from "./process_work.ts";

const { servers, ...shared } = JSON.parse(Deno.args[0]!);
const connection = await connect({ servers, maxReconnectAttempts: -1 });
const manager = new ProcessManager({
  ...steppingOptions(),
  store: await JetStreamEventStore.open(connection, shared),
  checkpoints: await KvCheckpointStore.open(connection, shared),
  leases: await ProjectionLeases.open(connection, shared),
});
const running = manager.run();
console.log("runs");
await Promise.race([running, Deno.stdin.readable.pipeTo(new WritableStream())]);
await manager[Symbol.asyncDispose]();
await running;
Deno.exit(0);
