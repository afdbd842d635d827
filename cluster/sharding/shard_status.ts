import { isRecord } from "../../store/base/json.ts";

/** How far a member has carried out the map. */
export interface ShardStatus {
  /** The newest map that it knows. */
  readonly mapVersion: number;
  /** Shards that it should serve and does not yet, or should release and has not yet. */
  readonly unsettled: number;
  /** Why it cannot serve shards, though it lives; left out if it can. */
  readonly unable?: string | undefined;
}

/**
 * The status that `value` holds.
 *
 * @throws {TypeError} It is none.
 */
export function shardStatusIn(value: unknown): ShardStatus {
  const { mapVersion, unsettled, unable } = isRecord(value) ? value : {};
  if (!Number.isSafeInteger(mapVersion) || !Number.isSafeInteger(unsettled)) {
    throw new TypeError("Cannot read the status of a node: it is none");
  }
  return {
    mapVersion: mapVersion as number,
    unsettled: unsettled as number,
    ...(typeof unable === "string" && { unable }),
  };
}
