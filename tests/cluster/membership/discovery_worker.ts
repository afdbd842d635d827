/**
 * One node in a process of its own. Writes its incarnation, one line at each time that it has
 * joined; leaves at the end of its input.
 *
 *     discovery_worker.ts <urls> <options as JSON> <connection's options as JSON>
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { Discovery } from "../../../cluster/membership/discovery.ts";

const [urls = "", options = "{}", connecting = "{}"] = Deno.args;
const connection = await connect({
  servers: urls.split(","),
  maxReconnectAttempts: -1,
  ...JSON.parse(connecting),
});
const discovery = await Discovery.join(connection, JSON.parse(options));
const changes = discovery.changes();
console.log(discovery.incarnation);
(async () => {
  for await (const change of changes) {
    if (change.type === "joined" && change.member.nodeId === discovery.nodeId) {
      console.log(change.member.incarnation);
    }
  }
})();
await Deno.stdin.read(new Uint8Array(1));
await discovery.leave();
await connection.close();
