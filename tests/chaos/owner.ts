/**
 * One node of a cluster: handles orders, leaves when it is told to or its input ends, and writes
 * lines of JSON, {@linkcode OwnerNote}s. Its argument is an {@linkcode OwnerOptions} in JSON.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { connect } from "@nats-io/transport-node";
import type { CommandContext } from "../../cluster/commands/handler.ts";
import { Cluster } from "../../cluster/cluster.ts";
import { appendEvents } from "../../store/append.ts";
import { isAetherError } from "../../store/errors.ts";
import type { EventStore } from "../../store/store.ts";
import { machineClock } from "./machine_clock.ts";
import type { CountedData, Order, OwnerNote, OwnerOptions } from "./owners.ts";

const { nodeId, life, servers, cluster: options, connection: settings, watch = false } = JSON
  .parse(Deno.args[0]!) as OwnerOptions & { readonly nodeId: string; readonly life: number };
const now = machineClock();
const encoder = new TextEncoder();

/** Written at once, so that a process that is killed next has reported it. */
function tell(note: Omit<OwnerNote, "nodeId" | "life" | "at">, at: number = now()): void {
  Deno.stdout.writeSync(encoder.encode(JSON.stringify({ nodeId, life, at, ...note }) + "\n"));
}

/** Blocks the event loop until a file exists. */
function blockUntil(path: string): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (!existsSync(path)) Atomics.wait(never, 0, 0, 20);
}

/** Saves one event; gives its version. */
async function count(actorId: string, store: EventStore): Promise<number> {
  const version = await store.getLatestVersion(actorId);
  await add(actorId, version, store);
  return version + 1;
}

async function add(actorId: string, version: number, store: EventStore): Promise<void> {
  const data: CountedData = { by: [nodeId, life] };
  await appendEvents(store, actorId, version, [{ eventType: "Counted", data }]);
}

async function handle(command: unknown, context: CommandContext): Promise<unknown> {
  const order = command as Order;
  const { actorId, store } = context;
  switch (order.kind) {
    case "count":
      return await count(actorId, store);
    case "hang": {
      const { tag } = order;
      await count(actorId, store);
      tell({ kind: "saved", actorId, tag });
      return await new Promise(() => {});
    }
    case "flood":
      return await flood(order.waiting, context);
    case "block": {
      const version = await count(actorId, store);
      tell({ kind: "saved", actorId });
      blockUntil(order.until);
      const ends: Record<string, number> = {};
      await ended(ends, add(actorId, version, store));
      return tell({ kind: "ended", actorId, ends });
    }
  }
}

/** Saves events one after the other, `waiting` of them at any time, until one is not saved. */
async function flood(waiting: number, { actorId, store }: CommandContext): Promise<void> {
  const ends: Record<string, number> = {};
  let version = await count(actorId, store);
  let isOver = false;
  tell({ kind: "saved", actorId });
  const save = async () => {
    while (!isOver) if (!await ended(ends, add(actorId, version++, store))) isOver = true;
  };
  await Promise.all(Array.from({ length: waiting }, save));
  tell({ kind: "ended", actorId, ends });
}

/** Counts how a save has ended; true if it was stored. */
async function ended(ends: Record<string, number>, save: Promise<void>): Promise<boolean> {
  const end = await save.then(() => "saved", (error) => error.code ?? String(error));
  ends[end] = (ends[end] ?? 0) + 1;
  return end === "saved";
}

/** Joins, as often as it takes: the servers may be down at the moment. */
async function join(): Promise<Cluster> {
  for (;;) {
    try {
      return await Cluster.join(connection, { nodeId, ...options });
    } catch (error) {
      if (!isAetherError(error, "StoreUnavailableError")) throw error;
    }
  }
}

/** Tells what changes; how many shards are served is looked at as often as it can change. */
function follow(cluster: Cluster): void {
  let serves = 0;
  let view = 0;
  let term = 0;
  setInterval(() => {
    const { phases } = cluster.describe();
    const at = now();
    const count = phases.get("serving") ?? 0;
    if (view !== cluster.view.version) {
      const members = cluster.view.members.map(({ nodeId }) => nodeId);
      tell({ kind: "view", members, version: view = cluster.view.version }, at);
    }
    if (serves !== count) tell({ kind: "serves", count: serves = count }, at);
    if (cluster.leader !== undefined && term !== cluster.leader.term) {
      term = cluster.leader.term;
      tell({ kind: "leader", leader: cluster.leader.nodeId }, at);
    }
  }, 5);
}

const connection = await connect({ servers: [...servers], maxReconnectAttempts: -1, ...settings });
const cluster = await join();
cluster.handle(handle, { onDuplicate: (events) => events.at(-1)!.version });
tell({ kind: "joined", incarnation: cluster.incarnation });
if (watch) follow(cluster);
let isLeft = false;
for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  if (!line.includes("leave") || isLeft) continue;
  isLeft = true;
  await cluster.leave();
  tell({ kind: "left" });
}
await cluster.leave();
await connection.close();
Deno.exit(0);
