import { InvalidSnapshotError } from "./errors.ts";
import { unfaithful } from "./faithful.ts";
import { HEADER_ROOM } from "./layout.ts";
import { checkActorId, timestampProblem, versionProblem } from "./prepare.ts";
import type { Snapshot, SnapshotQuery } from "./snapshot.ts";
import { describe, tokenProblem } from "./token.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Checks a snapshot and gives the bytes that are stored: nothing of the caller's is shared.
 * With {@linkcode decodeSnapshot} the one place that knows what a stored snapshot looks like.
 *
 * @param maxBytes What one message may take, headers included.
 * @throws {InvalidSnapshotError} The snapshot cannot be stored as it is, or is too large.
 */
export function encodeSnapshot(snapshot: Snapshot, maxBytes: number): Uint8Array {
  if (typeof snapshot !== "object" || snapshot === null) {
    throw new InvalidSnapshotError(`it is ${describe(snapshot)}, not a snapshot`);
  }
  const { actorId, version, schemaVersion, state, timestamp } = snapshot;
  const idProblem = tokenProblem(actorId);
  const problem = (idProblem && `actorId ${describe(actorId)} ${idProblem}`) ??
    versionProblem(version) ?? schemaProblem(schemaVersion) ?? timestampProblem(timestamp) ??
    unfaithful(state, "state");
  if (problem !== undefined) throw new InvalidSnapshotError(problem);
  const body = encoder.encode(
    JSON.stringify({ actorId, version, schemaVersion, timestamp: timestamp.toISOString(), state }),
  );
  const limit = maxBytes - HEADER_ROOM;
  if (body.length > limit) {
    throw new InvalidSnapshotError(
      `version ${version} of ${describe(actorId)} takes ${body.length} bytes, and ${limit} fit; ` +
        "keep large content elsewhere and a reference to it in the state",
    );
  }
  return body;
}

/**
 * The snapshot in the stored `body`; `undefined` where it is no snapshot of this actor and
 * schema: what cannot be read is as good as lost, and the events are there.
 */
export function decodeSnapshot(
  body: Uint8Array,
  actorId: string,
  schemaVersion: number,
): Snapshot | undefined {
  let value: Partial<Record<keyof Snapshot, unknown>>;
  try {
    value = JSON.parse(decoder.decode(body)) ?? {};
  } catch {
    return undefined;
  }
  const { version, state } = value;
  const timestamp = typeof value.timestamp === "string" ? new Date(value.timestamp) : undefined;
  const isWhole = value.actorId === actorId && value.schemaVersion === schemaVersion &&
    versionProblem(version) === undefined && timestampProblem(timestamp) === undefined &&
    state !== undefined;
  if (!isWhole) return undefined;
  return { actorId, version: version as number, schemaVersion, state, timestamp: timestamp! };
}

/**
 * Refuses what no snapshot can be kept under.
 *
 * @throws {RangeError} The actor id or the schema version is impossible.
 */
export function checkQuery(actorId: string, { schemaVersion }: SnapshotQuery): void {
  checkActorId(actorId);
  const problem = schemaProblem(schemaVersion);
  if (problem !== undefined) {
    throw new RangeError(`Cannot look up the snapshot of ${describe(actorId)}: ${problem}`);
  }
}

function schemaProblem(schemaVersion: unknown): string | undefined {
  if (Number.isSafeInteger(schemaVersion) && (schemaVersion as number) >= 0) {
    return Object.is(schemaVersion, -0) ? "schemaVersion is -0" : undefined;
  }
  const given = typeof schemaVersion === "number" ? schemaVersion : describe(schemaVersion);
  return `schemaVersion ${given} is not a safe integer of 0 or more`;
}
