import { needObject } from "../../store/base/given.ts";
import { isRecord } from "../../store/base/json.ts";
import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import type { ShardMap } from "./shard_map.ts";
import { describe, tokenProblem } from "../../store/base/token.ts";
import { utf8 } from "../../store/base/utf8.ts";

/** The version of the format below; a map of another format is not read. */
export const MAP_FORMAT = 1;

/** A shard without an owner. */
const NOBODY = -1;

/**
 * The map as compact JSON, as it is stored: each owner once, in the order in which they first
 * appear, and for each shard the place of its owner in that list, -1 for none:
 * `{"format":1,"version":7,"owners":[["a","1"],["b","1"]],"shards":[0,1,-1]}`.
 */
export function formatShardMap(map: ShardMap): string {
  needObject(map, "write the shard map", "map", "a shard map");
  const places = new Map<string, number>();
  const owners: [nodeId: string, incarnation: string][] = [];
  const shards = map.shards.map((owner) => {
    if (owner === undefined) return NOBODY;
    const { nodeId, incarnation } = owner;
    const key = incarnationKey(owner);
    let place = places.get(key);
    if (place === undefined) {
      place = owners.push([nodeId, incarnation]) - 1;
      places.set(key, place);
    }
    return place;
  });
  return JSON.stringify({ format: MAP_FORMAT, version: map.version, owners, shards });
}

/**
 * The map that {@linkcode formatShardMap} formatted.
 *
 * @param text The stored text.
 * @param shards How many shards the store has, if the map has to have as many.
 * @throws {TypeError} The text is no map of that format, or has another number of shards.
 */
export function parseShardMap(text: string, shards?: number): ShardMap {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TypeError(`Cannot read shard map ${describe(text)}: it is not JSON`, { cause });
  }
  const problem = mapProblem(value, shards);
  if (problem !== undefined) {
    throw new TypeError(`Cannot read shard map ${describe(text)}: ${problem}`);
  }
  const stored = value as Stored;
  const owners = stored.owners.map(([nodeId, incarnation]): NodeIncarnation => ({
    nodeId,
    incarnation,
  }));
  return { version: stored.version, shards: stored.shards.map((place) => owners[place]) };
}

/** Bytes that a map of `shards` shards takes at most, if `owners` have them. */
export function shardMapBytes(shards: number, owners: readonly NodeIncarnation[]): number {
  const names = owners.map(({ nodeId, incarnation }) => [nodeId, incarnation]);
  const place = Math.max(2, String(owners.length).length) + 1;
  return utf8(JSON.stringify({ format: MAP_FORMAT, version: Number.MAX_SAFE_INTEGER, names }))
    .length +
    '"shards":[]'.length + shards * place;
}

/** The content of the JSON. */
interface Stored {
  readonly format: number;
  readonly version: number;
  readonly owners: readonly (readonly [nodeId: string, incarnation: string])[];
  readonly shards: readonly number[];
}

function mapProblem(value: unknown, count: number | undefined): string | undefined {
  if (!isRecord(value)) return "it is no object";
  const { format, version, owners, shards } = value;
  if (format !== MAP_FORMAT) {
    return `its format is ${show(format)}, and this version reads ${MAP_FORMAT}`;
  }
  if (!Number.isSafeInteger(version) || (version as number) < 0) {
    return `its version ${show(version)} is not a safe integer of 0 or more`;
  }
  if (!Array.isArray(owners)) return "it has no list of owners";
  if (!Array.isArray(shards)) return "it has no list of shards";
  return ownersProblem(owners) ?? shardsProblem(shards, owners.length, count);
}

function ownersProblem(owners: readonly unknown[]): string | undefined {
  const known = new Set<string>();
  for (const [place, owner] of owners.entries()) {
    if (!Array.isArray(owner) || owner.length !== 2) {
      return `owners[${place}] is ${show(owner)}, not a node id and an incarnation`;
    }
    const problem = tokenProblem(owner[0]) ?? tokenProblem(owner[1]);
    if (problem !== undefined) return `a name in owners[${place}] ${problem}`;
    const key = JSON.stringify(owner);
    if (known.has(key)) return `owners[${place}] is there twice`;
    known.add(key);
  }
  return undefined;
}

function shardsProblem(
  shards: readonly unknown[],
  owners: number,
  count: number | undefined,
): string | undefined {
  if (shards.length === 0) return "it has no shards";
  if (count !== undefined && shards.length !== count) {
    return `it has ${shards.length} shards, and the store has ${count}`;
  }
  for (const [shard, place] of shards.entries()) {
    const isPlace = Number.isSafeInteger(place) && (place as number) >= NOBODY &&
      (place as number) < owners && !Object.is(place, -0);
    if (!isPlace) return `shards[${shard}] is ${show(place)}, and there are ${owners} owners`;
  }
  return undefined;
}

function show(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
}
