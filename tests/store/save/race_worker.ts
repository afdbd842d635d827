/**
 * One writer of the race: reads a version from each line of its input, tries to save it as the
 * next event of the actor, and writes the outcome as a line of JSON.
 *
 *     race_worker.ts <url> <namespace> <actor> [unguarded]
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { JetStreamEventStore, type VersionConflictError } from "../../../store/mod.ts";
import { attempt, fact, tampered, withoutExpectation } from "../../support/fault.ts";

const [url = "", namespace = "", actorId = "", guard] = Deno.args;
const connection = await connect({ servers: url });
const used = guard === "unguarded" ? tampered(connection, withoutExpectation) : connection;
const store = await JetStreamEventStore.open(used, { namespace });
console.log("ready");
let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop()!;
  for (const line of lines) {
    const event = fact(actorId, Number(line));
    const { kind, error } = await attempt(store, event);
    const { currentVersion = 0 } = (error ?? {}) as Partial<VersionConflictError>;
    console.log(JSON.stringify({ id: event.id, kind, currentVersion }));
  }
}
await store[Symbol.asyncDispose]();
await connection.close();
