import { copyBytes } from "../base/bytes.ts";
import { freshCopy } from "../base/fresh.ts";
import { needObject } from "../base/given.ts";
import { decodeJson, encodeJson } from "../base/json.ts";
import { jsonProblem, TOO_MANY } from "../base/json_fidelity.ts";
import { reasonOf } from "../base/reason.ts";
import { describe, encodeToken, tokenProblem } from "../base/token.ts";
import { versionProblem } from "../check/events.ts";
import { checkActorId } from "../check/query.ts";
import type { Codec } from "../codec.ts";
import { InvalidSnapshotError, isAetherError, StoreUnavailableError } from "../errors.ts";
import { isCoded, timestampProblem } from "../format/decode.ts";
import { HEADER_ROOM } from "../format/layout.ts";
import type { Snapshot, SnapshotQuery } from "./snapshot.ts";

/** How a store encodes snapshots, and what fits. */
export interface SnapshotEncoding {
  /** Bytes that one message may take, headers included. */
  readonly maxBytes: number;
  readonly codec: Codec<Snapshot> | undefined;
}

/**
 * Checks a snapshot, at once, and returns the bytes to store, which share nothing with the caller's
 * objects. Only this and {@linkcode decodeSnapshot} know the form of a stored snapshot.
 *
 * @throws {InvalidSnapshotError} The snapshot cannot be stored as it is. The promise rejects
 * with it if the bytes are too many, or the codec fails.
 */
export function encodeSnapshot(
  snapshot: Snapshot,
  { codec, maxBytes }: SnapshotEncoding,
): Promise<Uint8Array> {
  if (typeof snapshot !== "object" || snapshot === null) {
    throw new InvalidSnapshotError(`it is ${describe(snapshot)}, not a snapshot`);
  }
  const { actorId, name, version, schemaVersion, state, timestamp, lastEventId } = snapshot;
  const idProblem = tokenProblem(actorId);
  const problem = (idProblem && `actorId ${describe(actorId)} ${idProblem}`) ??
    nameProblem(name) ?? lastEventIdProblem(lastEventId) ?? versionProblem(version) ??
    schemaProblem(schemaVersion) ??
    timestampProblem(timestamp) ??
    // A lenient codec lifts the rules on the content of a state, but there must be one.
    (codec?.lenient !== true || state === undefined
      ? jsonProblem(state, "state", maxBytes)
      : undefined);
  if (problem === TOO_MANY) {
    throw new InvalidSnapshotError(`state ${problem}: more than fit into ${maxBytes} bytes`);
  }
  if (problem !== undefined) throw new InvalidSnapshotError(problem);
  const copy: Snapshot = {
    actorId,
    name,
    version,
    ...(lastEventId !== undefined && { lastEventId }),
    schemaVersion,
    timestamp: new Date(timestamp),
    // A codec may take its time, and do with the state as it likes.
    state: codec === undefined ? state : freshCopy(state),
  };
  const body = encode(copy, codec).then((bytes) => {
    const limit = maxBytes - HEADER_ROOM;
    if (bytes.length <= limit) return bytes;
    throw new InvalidSnapshotError(
      `version ${version} of ${describe(actorId)} takes ${bytes.length} bytes, and ${limit} ` +
        "fit; keep large content elsewhere and a reference to it in the state",
    );
  });
  body.catch(() => {}); // Reported when the save's turn comes.
  return body;
}

/** Begins at once, so that it does not see later changes by the caller. */
async function encode(
  snapshot: Snapshot,
  codec: Codec<Snapshot> | undefined,
): Promise<Uint8Array> {
  if (codec === undefined) return encodeJson(snapshot);
  try {
    const bytes: unknown = await codec.encode(snapshot);
    // A copy, as the codec may use its bytes again.
    if (bytes instanceof Uint8Array) return copyBytes(bytes);
    throw new TypeError(`it gave ${describe(bytes)}, not a Uint8Array`);
  } catch (cause) {
    if (isAetherError(cause, "StoreUnavailableError")) {
      throw hasToWait(`save snapshot of "${snapshot.actorId}"`, cause);
    }
    throw new InvalidSnapshotError(`the codec failed: ${reasonOf(cause)}`, { cause });
  }
}

function hasToWait(what: string, cause: unknown): StoreUnavailableError {
  const message = `Cannot ${what}: the codec has to wait: ${reasonOf(cause)}`;
  return new StoreUnavailableError(message, { cause });
}

/**
 * The snapshot in the stored `body`; `undefined` if it is not one of this place, or was forgotten: an unreadable
 * snapshot counts as lost, because the events are still there.
 *
 * @throws {StoreUnavailableError} The codec has to wait: the snapshot may be sound.
 */
export async function decodeSnapshot(
  body: Uint8Array,
  { actorId, name, schemaVersion }: Pick<Snapshot, "actorId" | "name" | "schemaVersion">,
  codec: Codec<Snapshot> | undefined,
): Promise<Snapshot | undefined> {
  let value: unknown;
  try {
    value = codec === undefined ? decodeJson(body) : await codec.decode(copyBytes(body));
  } catch (cause) {
    if (!isAetherError(cause, "StoreUnavailableError")) return undefined;
    throw hasToWait(`read the snapshot of "${actorId}"`, cause);
  }
  // A forgotten snapshot is a symbol, which has none of these.
  const found = (value ?? {}) as Partial<Record<keyof Snapshot, unknown>>;
  const { version, state, lastEventId } = found;
  const timestamp = typeof found.timestamp === "string"
    ? new Date(found.timestamp)
    : found.timestamp;
  const isWhole = found.actorId === actorId && found.name === name &&
    found.schemaVersion === schemaVersion &&
    versionProblem(version) === undefined && timestampProblem(timestamp) === undefined &&
    lastEventIdProblem(lastEventId) === undefined && state !== undefined && !isCoded(found);
  if (!isWhole) return undefined;
  return {
    actorId,
    name,
    version: version as number,
    ...(lastEventId !== undefined && { lastEventId: lastEventId as string }),
    schemaVersion,
    state,
    timestamp: new Date(timestamp as Date),
  };
}

/**
 * Refuses a query that no snapshot can match.
 *
 * @throws {TypeError} It is no object.
 * @throws {RangeError} The actor id, the name or the schema version is impossible.
 */
export function checkQuery(actorId: string, query: SnapshotQuery): void {
  checkActorId(actorId);
  const what = "look up a snapshot";
  needObject(query, what, "query, the second argument,", "an object with name and schemaVersion");
  const { name, schemaVersion } = query;
  const problem = nameProblem(name) ?? schemaProblem(schemaVersion);
  if (problem !== undefined) {
    throw new RangeError(`Cannot look up the snapshot of ${describe(actorId)}: ${problem}`);
  }
}

/** Bytes of an encoded name, so that no subject is longer than 512 bytes. */
const MAX_NAME_BYTES = 80;

/** Why `name` cannot be a snapshot's; `undefined` if it can. */
export function nameProblem(name: unknown): string | undefined {
  const problem = tokenProblem(name);
  if (problem !== undefined) return `name ${describe(name)} ${problem}`;
  const { length } = encodeToken(name as string);
  return length <= MAX_NAME_BYTES
    ? undefined
    : `name ${describe(name)} takes ${length} bytes when encoded, and ${MAX_NAME_BYTES} fit`;
}

function lastEventIdProblem(id: unknown): string | undefined {
  if (id === undefined) return undefined;
  const problem = tokenProblem(id);
  return problem && `lastEventId ${describe(id)} ${problem}`;
}

function schemaProblem(schemaVersion: unknown): string | undefined {
  if (Number.isSafeInteger(schemaVersion) && (schemaVersion as number) >= 0) {
    return Object.is(schemaVersion, -0) ? "schemaVersion is -0" : undefined;
  }
  const given = typeof schemaVersion === "number" ? schemaVersion : describe(schemaVersion);
  return `schemaVersion ${given} is not a safe integer of 0 or more`;
}
