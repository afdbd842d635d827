import { StoreRefusedError } from "../store/errors.ts";

/** Bytes of a message that stay free, for headers and for what a record has to grow by. */
const SPARE = 32_768;

/**
 * Bytes that a record that all nodes share may have after a node has joined, by what the server takes
 * in one message: what a node that leaves or crashes adds to it always fits as well.
 */
export function recordLimit(maxPayload: number = Infinity): number {
  return Math.max(maxPayload - SPARE, Math.floor(maxPayload / 2));
}

/** The error of a node that cannot join, as a record with it would be too large. */
export function recordTooLarge(
  nodeId: string,
  record: string,
  size: number,
  limit: number,
  hint: string,
): StoreRefusedError {
  const advice = `${hint}, or raise max_payload of the server`;
  return new StoreRefusedError(
    `Cannot join as "${nodeId}": with it, ${record} takes ${size} bytes, and ${limit} fit; ${advice}`,
    advice,
    undefined,
  );
}
