/**
 * Whether those who follow a store were given its events: all, in its order, and as often as was
 * promised. And whether leaders believed in their leases one after the other.
 *
 * @module
 */

import { checkReigns, reignsOf } from "../reigns.ts";
import { clientOf, type Rule } from "./evidence.ts";

/** An event as a follower was given it. */
export interface Given {
  readonly position: number;
  readonly id: string;
}

/** A notification that comes later than this, in ms, was held up by a server. */
const HELD_UP = 1_000;

/** A notification that an event is stored. */
export interface Heard extends Given {
  readonly actorId: string;
  readonly version: number;
}

/**
 * A subscription gives the order of the store, from the first event to the last. Each process goes
 * on behind what the one before it had noted.
 */
export const subscriptions: Rule = ({ evidence: { sightings, ledger: { facts } } }, found) => {
  const seen = Map.groupBy(
    sightings.filter(({ kind }) => kind === "subscribed"),
    ({ worker }) => worker,
  );
  for (const [worker, events] of seen) {
    for (let at = 0; at < Math.max(events.length, facts.length); at++) {
      const given = events[at]?.what as Given | undefined;
      const fact = facts[at];
      if (given?.position === fact?.position && given?.id === fact?.id) continue;
      const what = `event ${at} is ${given?.position}, and stored is ${fact?.position}`;
      found("subscription", `In the subscription of "${worker}" ${what}`);
      break;
    }
  }
};

/** A read model in transactions has each event once; one without them has it at least once. */
export const projections: Rule = ({ evidence, byPosition }, found) => {
  const { ledger: { facts }, rows, sightings } = evidence;
  const lists = [
    { name: "SQLite", positions: rows, isOnce: true },
    {
      name: "KV",
      positions: sightings.filter(({ kind }) => kind === "projected")
        .map(({ what }) => (what as Given).position),
      isOnce: false,
    },
  ];
  for (const { name, positions, isOnce } of lists) {
    const seen = new Set<number>();
    const latest = new Map<string, number>();
    for (const position of positions) {
      const fact = byPosition.get(position);
      if (fact === undefined) {
        found("projection", `${name} has ${position}, and nothing is stored there`);
        continue;
      }
      if (seen.has(position)) {
        if (isOnce) found("projection", `${name} has ${position} twice`);
        continue;
      }
      seen.add(position);
      const { actorId, previous, version } = fact;
      const before = latest.get(actorId) ?? 0;
      if (before !== previous) {
        const what = `version ${version} of "${actorId}" behind ${before}, not ${previous}`;
        found("projection", `${name} has ${what}, at ${position}`);
      }
      latest.set(actorId, version);
    }
    const missing = facts.filter(({ position }) => !seen.has(position));
    if (missing.length > 0) {
      found(
        "projection",
        `${name} misses ${missing.length} events from ${missing[0]!.position} on`,
      );
    }
  }
};

/**
 * A process hears of an event once at most, only if it is stored, and in order of those that were
 * saved in one process, unless a server has held one up.
 */
export const notifications: Rule = (indexed, found) => {
  const heard = Map.groupBy(
    indexed.evidence.sightings.filter(({ kind }) => kind === "heard"),
    (sighting) => clientOf(sighting),
  );
  for (const [client, sightings] of heard) {
    const seen = new Set<string>();
    const latest = new Map<string, number>();
    for (const { what, at } of sightings) {
      const { id, actorId, version, position } = what as Heard;
      const place = `${client} heard of version ${version} of "${actorId}"`;
      const fact = indexed.byId.get(id)?.[0];
      if (fact?.actorId !== actorId || fact.version !== version) {
        found("notification", `${place}, which is not stored`);
        continue;
      }
      if (fact.position !== position) {
        found("notification", `${place} at ${position}, which is at ${fact.position}`);
      }
      if (seen.has(id)) found("notification", `${place} twice`);
      seen.add(id);
      const owner = indexed.ownerOf(fact);
      if (owner === undefined) continue;
      const key = `${clientOf(owner)} ${actorId}`;
      // A server that freezes passes on late what it has, while the writer goes on at another one.
      if (indexed.evidence.nodes > 1 && at - owner.end > HELD_UP) continue;
      if ((latest.get(key) ?? 0) > version) {
        found("notification", `${place} behind version ${latest.get(key)}`, owner);
      }
      latest.set(key, version);
    }
  }
};

/** No two leases are valid at the same time, and terms grow. */
export const leases: Rule = ({ evidence: { reigns } }, found) => {
  try {
    checkReigns(reignsOf(reigns));
  } catch (error) {
    found("lease", (error as Error).message);
  }
};

/** Nothing ended by an error that nobody had promised. */
export const errors: Rule = ({ evidence: { operations, sightings } }, found) => {
  for (const { kind, what, worker } of sightings) {
    if (kind === "failed") found("error", `"${worker}" failed: ${what}`);
  }
  for (const operation of operations) {
    const { error } = operation.output;
    if (error?.startsWith("Unexpected")) found("error", error, operation);
  }
};
