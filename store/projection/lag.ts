import { shardOf } from "../actor.ts";
import { readArrivals } from "./arrival.ts";
import { StreamRegressedError } from "../errors.ts";
import type { EventFilter } from "../options.ts";
import type { ProjectionCheckpoints } from "./checkpoints.ts";
import type { PartitionState, ProjectionVersion } from "./state.ts";
import type { EventStore } from "../store.ts";
import { watchGauges } from "../telemetry/gauges.ts";

/** How far a projection is behind its store; see {@linkcode Projection.lag}. */
export interface ProjectionLag {
  /** Events that match the filter and are neither handled nor parked. */
  readonly events: number;
  /** Age of the oldest of them, in seconds by this machine's clock; 0 if there is none. */
  readonly seconds: number;
}

/** The projection whose lag is counted. */
export interface LagParts<Tx> {
  readonly name: string;
  readonly store: EventStore;
  readonly filter: EventFilter;
  readonly checkpoints: ProjectionCheckpoints<Tx>;
}

/** The events that a version has neither handled nor parked yet. */
export interface Unhandled {
  readonly events: number;
  /** When the first of them happened. */
  readonly oldest: Date | undefined;
  /** Position of the last one in each partition; 0 if there is none. */
  readonly last: readonly number[];
}

/** The states of a version's partitions. */
export async function statesOf<Tx>(
  { checkpoints, store: { identity } }: Pick<LagParts<Tx>, "checkpoints" | "store">,
  version: ProjectionVersion,
): Promise<PartitionState[]> {
  return await Promise.all(
    Array.from(
      { length: version.partitions },
      async (_, partition) =>
        (await checkpoints.partition({ ...version, partition }, identity)).state,
    ),
  );
}

/**
 * When the oldest event happened that matches the filter and is neither handled nor parked; `undefined`
 * if there is none. It reads the store no further than that.
 */
async function oldestUnhandled<Tx>(
  { store, filter }: Pick<LagParts<Tx>, "store" | "filter">,
  states: readonly PartitionState[],
  signal: AbortSignal,
): Promise<Date | undefined> {
  const from = Math.min(...states.map(({ sequence }) => sequence)) + 1;
  for await (const { sequence, actorId, event } of readArrivals(store, { from, filter, signal })) {
    const partition = states.length === 1 ? 0 : shardOf(actorId, states.length);
    // An event that cannot be read does not say when it happened.
    if (sequence > states[partition]!.sequence && event !== undefined) return event.timestamp;
  }
  return undefined;
}

/**
 * Counts the unhandled events of a version, up to sequence `upTo`: it reads and counts them one by
 * one, because sequences have gaps.
 *
 * @throws {StreamRegressedError} The checkpoints are about another store.
 */
export async function unhandled<Tx>(
  parts: LagParts<Tx>,
  version: ProjectionVersion,
  { upTo = Infinity, signal }: { upTo?: number; signal?: AbortSignal } = {},
): Promise<Unhandled> {
  const { name, store, filter } = parts;
  const states = await statesOf(parts, version);
  const other = states.find((it) => it.sequence > 0 && it.identity !== store.identity);
  if (other !== undefined) {
    const reason = `its checkpoint is about another store, whose identity was ${other.identity}`;
    throw new StreamRegressedError(`projection "${name}"`, other.sequence, 0, reason);
  }
  const last = states.map(() => 0);
  let events = 0;
  let oldest: Date | undefined;
  const from = Math.min(...states.map(({ sequence }) => sequence)) + 1;
  for await (const event of readArrivals(store, { from, filter, ...(signal && { signal }) })) {
    if (event.sequence > upTo) break;
    const partition = states.length === 1 ? 0 : shardOf(event.actorId, states.length);
    if (event.sequence <= states[partition]!.sequence) continue;
    last[partition] = event.sequence;
    // An event that cannot be read does not say when it happened.
    oldest ??= event.event?.timestamp;
    events++;
  }
  return { events, oldest, last };
}

/** The gauges of a projection, all by `aether.projection.name`. */
const GAUGES = {
  "aether.projection.lag": {
    unit: "s",
    description: "Age of the oldest event that is neither handled nor parked",
  },
  "aether.projection.parked.actors": {
    unit: "{actor}",
    description: "Actors whose events wait because one of them could not be handled",
  },
} as const;

/**
 * Shows how far the version that is read is behind, whichever processes run it: each that has once
 * begun to run it shows the same, by the checkpoints and the store. So a projection that has halted
 * shows that, too.
 */
export function watchProjection<Tx>(
  parts: LagParts<Tx>,
  active: () => Promise<ProjectionVersion>,
): () => Promise<void> {
  const attributes = { "aether.projection.name": parts.name };
  return watchGauges(GAUGES, async (signal) => {
    const version = await active();
    const states = await statesOf(parts, version);
    const oldest = await oldestUnhandled(parts, states, signal);
    const lag = oldest === undefined ? 0 : Math.max(0, Date.now() - oldest.getTime()) / 1000;
    const parked = states.reduce((sum, { parked }) => sum + parked.length, 0);
    return [
      { gauge: "aether.projection.lag", value: lag, attributes },
      { gauge: "aether.projection.parked.actors", value: parked, attributes },
    ];
  });
}
