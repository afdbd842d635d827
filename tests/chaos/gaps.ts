/**
 * How long nothing came, by the times at which something did.
 *
 * @module
 */

/** The longest time between two of `times` of which the later is in the span; 0 if none is. */
export function longestGap(times: readonly number[], from: number, until: number): number {
  let longest = 0;
  for (let at = 1; at < times.length; at++) {
    if (times[at]! < from || times[at - 1]! > until) continue;
    longest = Math.max(longest, times[at]! - times[at - 1]!);
  }
  return longest;
}

/** The value below which `share` of all are; `NaN` if there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Half of them, all but the slowest hundredth, and the slowest, in ms. */
export function distribution(values: readonly number[]): string {
  if (values.length === 0) return "none";
  return [0.5, 0.99, 1].map((share) => quantile(values, share).toFixed()).join("/");
}
