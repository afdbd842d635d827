/**
 * Returns whether a snapshot is due when an actor has gone from version `before` to `after`.
 */
export type SnapshotPolicy = (before: number, after: number) => boolean;

/**
 * Takes a snapshot whenever a save reaches or passes a multiple of `n` versions, so that a load
 * replays about `n` events at most. It keeps no state: processes that share an actor agree.
 *
 * @param n Versions from one snapshot to the next: a safe integer of 1 or more.
 * @throws {RangeError} `n` is out of its range.
 *
 * @example Every 100 versions, whatever the size of a save
 * ```ts
 * import { snapshotEvery } from "@flowmade-one/aether";
 *
 * const isDue = snapshotEvery(100);
 * console.log(isDue(98, 99), isDue(99, 100), isDue(95, 103)); // false true true
 * ```
 */
export function snapshotEvery(n: number): SnapshotPolicy {
  if (!Number.isSafeInteger(n) || n < 1) {
    throw new RangeError(
      `Cannot take a snapshot every ${n} versions: a safe integer of 1 or more is needed`,
    );
  }
  return (before, after) => Math.floor(after / n) > Math.floor(before / n);
}
