/**
 * One candidate of an election: campaigns, leads, resigns at times, and writes a line of JSON
 * about each; ends when its input does. Its argument is a {@linkcode CandidateOptions} in JSON.
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { Election } from "../../cluster/election/election.ts";
import type { Lease } from "../../cluster/election/lease.ts";
import { isAetherError } from "../../store/errors.ts";
import type { CandidateOptions } from "./candidates.ts";
import { machineClock } from "./machine_clock.ts";
import type { Note } from "./reigns.ts";

type Bare<N> = N extends Note ? Omit<N, "nodeId" | "life"> : never;

const { nodeId, life, servers, namespace, timings, replicas, connection: settings, slow, reign } =
  JSON.parse(Deno.args[0]!) as CandidateOptions & { readonly nodeId: string; life: number };
const now = machineClock();
const clock = {
  monotonic: () => performance.now() / slow,
  wall: () => Date.now() / slow,
};

function tell(fact: Bare<Note>): void {
  console.log(JSON.stringify({ nodeId, life, ...fact }));
}

const ends = new AbortController();
const input = (async () => {
  for await (const _ of Deno.stdin.readable);
  ends.abort();
})();

/** Opens the election, as often as it takes: the servers may be down at the moment. */
async function open(): Promise<Election> {
  for (;;) {
    try {
      return await Election.open(connection, { namespace, nodeId, replicas, clock, ...timings });
    } catch (error) {
      if (!isAetherError(error, "StoreUnavailableError") || ends.signal.aborted) throw error;
    }
  }
}

/** Leads until it is over, or for a while; it reads the clock before each write. */
async function lead(lease: Lease): Promise<void> {
  const { term, signal } = lease;
  const over = performance.now() + (reign ?? Infinity) * (0.5 + Math.random());
  let told = 0;
  for (let kind: "taken" | "holds" = "taken";; kind = "holds") {
    const at = now();
    const until = at + lease.validFor * slow;
    if (signal.aborted || until === at) break;
    if (until > told + 1) {
      tell({ kind, at, until, term });
      told = until;
    }
    if (performance.now() > over || ends.signal.aborted) {
      const resigned = lease[Symbol.asyncDispose]();
      tell({ kind: "over", at: now(), term, reason: "resigned" });
      await resigned;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (told === 0) return; // Over before any candidate could lead.
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  tell({ kind: "over", at: now(), term, reason: signal.reason.reason });
}

const connection = await connect({ servers, maxReconnectAttempts: -1, ...settings });
const election = await open();
tell({ kind: "ready", at: now() });
while (!ends.signal.aborted) {
  try {
    tell({ kind: "campaigns", at: now() });
    await lead(await election.campaign({ signal: ends.signal }));
  } catch (error) {
    if (!ends.signal.aborted) throw error;
  }
}
await input;
await election[Symbol.asyncDispose]();
await connection.close();
