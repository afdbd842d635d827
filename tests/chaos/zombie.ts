/**
 * Zombies: owners are stopped for twice the time that a silent one is waited for, with saves on
 * their way and waiting, or block their event loop until others own their shards. Whatever they
 * believe when they go on, nothing of theirs is stored after the next owner's claim.
 *
 * @module
 */

import { join } from "node:path";
import type { ActorOwner } from "../../cluster/cluster.ts";
import type { ClusterOptions } from "../../cluster/options.ts";
import { shardOf } from "../../store/actor.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import { type Order, type OwnerNote, Owners } from "./owners.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";
import { Sender } from "./senders.ts";
import { checkLog, readLog } from "./stored_log.ts";
import { assertVerified } from "../support/verified.ts";

const NODES = ["a", "b", "c", "d"];
const NAMESPACE = "chaos";
const SHARDS = 64;
/** Shards of each owner that saves are made in. */
const BUSY = 4;
/** How long a silent owner is waited for, in ms. */
const TTL = 2_000;
/** Saves of one shard that wait at any time. */
const WAITING = 10;
/** Owners that are stopped in a minute. */
const RATE = 25;

/** How often what was done, and to which end. */
export interface Zombies {
  /** Owners that were stopped or blocked, and shards in which they were saving. */
  readonly owners: number;
  readonly shards: number;
  /** How the saves of those shards ended, by error code; those that were stored before too. */
  readonly ends: Readonly<Record<string, number>>;
  /** Faults of the log. */
  readonly problems: readonly string[];
}

/** Stops owners until `times` were, side by side; or blocks them. */
export async function zombies(
  chaos: Chaos,
  times: number,
  { mode = "fenced", how = "stop" }: {
    readonly mode?: ClusterOptions["mode"] & string;
    readonly how?: "stop" | "block";
  } = {},
): Promise<Zombies> {
  const cluster: ClusterOptions = {
    namespace: NAMESPACE,
    replicas: 3,
    shards: SHARDS,
    mode,
    lease: TTL,
    heartbeatTtl: TTL,
    ping: 150,
    crash: 1_200,
    outage: 400,
    drainTimeout: 500,
    leaveTimeout: 3_000,
  };
  await using cleanup = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "aether-blocked-" });
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  await using nats = await NatsCluster.start(3);
  await using owners = new Owners({ servers: nats.urls, cluster });
  await owners.join(...NODES);
  const sender = await Sender.join(nats.urls, { ...cluster, nodeId: "sender" });
  const ends: Record<string, number> = {};
  let stopped = 0;
  let shards = 0;
  for (let round = 0; stopped < times; round++) {
    await sender.owned(...NODES);
    // One at least takes over; the others are stopped side by side.
    const heir = chaos.pick(NODES);
    const victims = NODES.filter((nodeId) => nodeId !== heir).slice(0, times - stopped);
    const busy = actorsOf(sender, victims, `saver-${round}`, how === "stop" ? BUSY : 1);
    const from = owners.notes.length;
    const told = (kind: OwnerNote["kind"]) =>
      Promise.all(
        [...busy.keys()].map((actorId) =>
          owners.next((note) => note.kind === kind && note.actorId === actorId, from)
        ),
      );
    const order: Order = how === "stop"
      ? { kind: "flood", waiting: WAITING }
      : { kind: "block", until: join(folder, String(round)) };
    const sent = [...busy.keys()].map((actorId) => sender.send(actorId, order));
    await told("saved");
    if (how === "stop") {
      await pause(chaos.between(0, 100));
      await Promise.all(victims.map((nodeId) => owners.stop(nodeId)));
      await Promise.all([pause(2 * TTL), taken(sender, busy, round)]);
      for (const nodeId of victims) owners.resume(nodeId);
    } else {
      await taken(sender, busy, round);
      await Deno.writeTextFile(join(folder, String(round)), "");
    }
    for (const note of await told("ended")) {
      for (const [end, count] of Object.entries(note.ends!)) ends[end] = (ends[end] ?? 0) + count;
      if (note.nodeId !== busy.get(note.actorId!)?.nodeId) throw new Error("Another one saves");
    }
    await Promise.all(sent);
    stopped += victims.length;
    shards += busy.size;
    chaos.log(`${stopped}: ${victims} are deposed: ${JSON.stringify(ends)}`);
  }
  await Promise.all(NODES.map((nodeId) => owners.leave(nodeId)));
  const log = await readLog(sender.connection, NAMESPACE);
  if (mode === "fenced") await assertVerified(sender.connection, NAMESPACE);
  await sender[Symbol.asyncDispose]();
  const { problems } = checkLog(log, NAMESPACE, sender.acked, { many: true });
  return { owners: stopped, shards, ends, problems };
}

/** Actors in `count` different shards of each of the nodes, with their owners. */
function actorsOf(
  { cluster }: Sender,
  nodeIds: readonly string[],
  name: string,
  count: number,
): Map<string, ActorOwner> {
  const found = new Map<string, ActorOwner>();
  const shards = new Set<number>();
  const left = new Map(nodeIds.map((nodeId) => [nodeId, count]));
  for (let at = 0; found.size < nodeIds.length * count; at++) {
    const actorId = `${name}-${at}`;
    const owner = cluster.ownerOf(actorId)!;
    const more = left.get(owner.nodeId) ?? 0;
    if (more === 0 || shards.has(owner.shard)) continue;
    left.set(owner.nodeId, more - 1);
    shards.add(owner.shard);
    found.set(actorId, owner);
  }
  return found;
}

/** Resolves when other owners have saved something in the shards of all these actors. */
async function taken(
  sender: Sender,
  busy: ReadonlyMap<string, ActorOwner>,
  round: number,
): Promise<void> {
  const shards = new Set([...busy.values()].map(({ shard }) => shard));
  const neighbours: string[] = [];
  for (let at = 0; shards.size > 0; at++) {
    const actorId = `neighbour-${round}-${at}`;
    if (shards.delete(shardOf(actorId, SHARDS))) neighbours.push(actorId);
  }
  await Promise.all(neighbours.map((actorId) => sender.send(actorId, { kind: "count" })));
}

/** See above. */
export const zombie: Scenario = {
  description:
    "owners are stopped or blocked for longer than the heartbeat's time, with saves under way: " +
    "none is stored after the next owner's claim, each is refused with FencedError",
  minutes: 8,
  async run(chaos): Promise<Findings> {
    const times = Math.max(1, Math.round(chaos.duration / 60_000 * RATE));
    const stopped = await zombies(chaos, times);
    const blocked = await zombies(chaos, Math.ceil(times / 10), { how: "block" });
    for (const { problems, ends } of [stopped, blocked]) {
      const others = Object.keys(ends).filter((end) => end !== "saved" && end !== "FencedError");
      if (problems.length > 0) throw new Error(problems.slice(0, 20).join("\n"));
      if (others.length > 0) throw new Error(`Saves ended by ${JSON.stringify(ends)}`);
    }
    const control = await zombies(chaos, 3, { mode: "optimistic" });
    return {
      "owners stopped": stopped.owners,
      "shards saved in": stopped.shards,
      "refused by the fence": stopped.ends.FencedError ?? 0,
      "stored late": stopped.problems.length,
      "owners blocked": blocked.owners,
      "their saves refused": blocked.ends.FencedError ?? 0,
      "control, optimistic: stored late": control.problems.length,
    };
  },
};
