/**
 * Runs commands on one counter from a process of its own. Says `ready`, begins with the first
 * line of its input, and writes what came of it as a line of JSON.
 *
 *     execute_worker.ts <url> <namespace> <actor> <name> <commands> <in flight>
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { execute, JetStreamEventStore } from "../../../store/mod.ts";
import { add, counter } from "../../support/counter.ts";

const [url = "", namespace = "", actorId = "", name = "", count = "0", inFlight = "1"] = Deno.args;
const connection = await connect({ servers: url });
const store = await JetStreamEventStore.open(connection, { namespace });
console.log("ready");
await Deno.stdin.read(new Uint8Array(16));

const refusals: string[] = [];
let slowest = 0;
let next = 0;
const began = performance.now();
await Promise.all(Array.from({ length: Number(inFlight) }, async () => {
  while (next < Number(count)) {
    const at = next++;
    const asked = performance.now();
    try {
      await execute(store, actorId, counter, add(`${name} ${at}`));
    } catch (error) {
      refusals.push(`${name} ${at}: ${error}`);
    }
    slowest = Math.max(slowest, performance.now() - asked);
  }
}));
const elapsed = performance.now() - began;
console.log(JSON.stringify({ refusals, slowest, elapsed }));
await store[Symbol.asyncDispose]();
await connection.close();
