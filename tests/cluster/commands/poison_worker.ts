/**
 * A node whose handler does what the command says: ends its process, hangs, or replies.
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { Cluster } from "../../../cluster/cluster.ts";

const [servers = "", options = "{}"] = Deno.args;
const connection = await connect({ servers, maxReconnectAttempts: -1 });
const cluster = await Cluster.join(connection, JSON.parse(options));
cluster.handle((command) => {
  if (command === "die") Deno.exit(3);
  while (command === "hang");
  return cluster.nodeId;
});
console.log("joined");
for await (const _line of Deno.stdin.readable);
await cluster.leave();
await connection.close();
