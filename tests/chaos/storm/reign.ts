/**
 * Candidates for the leadership of a storm: whoever leads claims the shards of some actors and saves
 * events of theirs, and goes on after its lease until the fence refuses it.
 *
 * @module
 */

import { Election } from "../../../cluster/election/election.ts";
import type { Lease } from "../../../cluster/election/lease.ts";
import type { Connection } from "../../../store/connection.ts";
import { FencedEventStore } from "../../../store/fencing/fenced_store.ts";
import { isAetherError, type JetStreamEventStoreOptions } from "../../../store/mod.ts";
import { save } from "./acts.ts";
import { endOf } from "./ends.ts";
import { type EventName, now, type Recorder } from "./history.ts";

/** Actors under fences. */
const ACTORS = 6;
/** How long a deposed leader goes on, and how long one leads at most, in ms. */
const BEYOND = 3_000;
const LONGEST = 12_000;

/** What a candidate works with. */
export interface CandidateParts {
  readonly connection: Connection;
  readonly options: JetStreamEventStoreOptions;
  /** Names the process. */
  readonly name: string;
  readonly recorder: Recorder;
  readonly lease: number;
  /** From one save to the next, in ms. */
  readonly every: number;
  readonly signal: AbortSignal;
}

/** Campaigns and leads until the signal is aborted. */
export async function campaign(parts: CandidateParts, election: Election): Promise<void> {
  const { signal, recorder } = parts;
  while (!signal.aborted) {
    try {
      await using lease = await election.campaign({ signal });
      await lead(parts, lease);
    } catch (error) {
      if (signal.aborted) return;
      const isPassing = isAetherError(error, "StoreUnavailableError") ||
        isAetherError(error, "StoreRefusedError") || isAetherError(error, "FencedError") ||
        isAetherError(error, "LeaseLostError");
      if (!isPassing) recorder.see("failed", `campaign: ${error}`);
      await pause(100);
    }
  }
}

/** Opens the election; gives up where the servers are down. */
export function openElection({ connection, options, name, lease }: CandidateParts) {
  const { namespace = "default", replicas = 1 } = options;
  const nodeId = name;
  return Election.open(connection, { namespace, replicas, nodeId, lease, renew: lease / 6 });
}

async function lead(parts: CandidateParts, lease: Lease): Promise<void> {
  const { connection, options, name: nodeId, recorder, signal } = parts;
  const over = new AbortController();
  const watching = watch(lease, recorder, AbortSignal.any([signal, over.signal]));
  try {
    await using store = await FencedEventStore.open(connection, { ...options, nodeId });
    const actors = Array.from({ length: ACTORS }, (_, at) => `fence-${at}`);
    const shards = new Set(actors.map((actorId) => store.shardOf(actorId)));
    await Promise.all([...shards].map((shard) => store.claim(shard, lease.term)));
    const versions = new Map<string, number>();
    let end = performance.now() + LONGEST;
    let isDeposed = false;
    for (let turn = 0; !signal.aborted && performance.now() < end; turn++) {
      if (lease.signal.aborted && !isDeposed) end = performance.now() + BEYOND;
      isDeposed = lease.signal.aborted;
      const actorId = actors[turn % ACTORS]!;
      const isFenced = await fencedSave(parts, store, actorId, versions);
      if (isFenced) return;
      await pause(parts.every);
    }
  } finally {
    over.abort();
    await watching;
  }
}

/** Saves an event; true if a fence refuses it. */
async function fencedSave(
  { recorder }: CandidateParts,
  store: FencedEventStore,
  actorId: string,
  versions: Map<string, number>,
): Promise<boolean> {
  const kind = "fenced save";
  let events: readonly EventName[] = [];
  const op = recorder.invoke(kind, (op) => {
    const version = (versions.get(actorId) ?? 0) + 1;
    events = [{ actorId, version, id: `${op}-0` }];
    return { type: "save", events };
  });
  try {
    const output = await save(store, op, events);
    recorder.end(kind, op, "ok", output);
    versions.set(actorId, events[0]!.version);
    return false;
  } catch (error) {
    const { outcome, output } = await endOf(error, true);
    recorder.end(kind, op, outcome, output);
    if (output.version !== undefined) versions.set(actorId, output.version);
    return isAetherError(error, "FencedError");
  }
}

/** Notes for how long the lease is believed in; it reads the clock before each note. */
async function watch(lease: Lease, recorder: Recorder, signal: AbortSignal): Promise<void> {
  const { term } = lease;
  let told = 0;
  for (let kind: "taken" | "holds" = "taken";; kind = "holds") {
    const at = now();
    const until = at + lease.validFor;
    if (lease.signal.aborted || until === at || signal.aborted) break;
    if (until > told + 1) recorder.see("lease", { kind, at, until: told = until, term });
    await pause(20);
  }
  if (told === 0) return;
  if (!lease.signal.aborted && !signal.aborted) {
    await new Promise((resolve) => lease.signal.addEventListener("abort", resolve, { once: true }));
  }
  const reason = lease.signal.aborted ? "lost" : "resigned";
  recorder.see("lease", { kind: "over", at: now(), term, reason });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
