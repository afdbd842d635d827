/**
 * A part of a list, the same for the same seed.
 *
 * @module
 */

import { seededRandom } from "../support/proxy.ts";

/** `count` of `all`, as `seed` decides, in the order of the list. */
export function sampleOf<T>(all: readonly T[], count: number, seed: number): T[] {
  const random = seededRandom(seed);
  return all.map((item, at) => ({ item, at, key: random() }))
    .sort((one, other) => one.key - other.key)
    .slice(0, count)
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}
