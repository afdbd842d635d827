/** How many partitions each of some workers has. */
export type Holdings = ReadonlyMap<string, number>;

/**
 * How many of `partitions` each worker is to have: as even as can be. Who has more already gets
 * what is left over, so that nothing moves that need not. All who look at the same holdings
 * come to the same.
 */
export function quotasOf(partitions: number, holdings: Holdings): Map<string, number> {
  const least = Math.floor(partitions / holdings.size);
  const over = partitions % holdings.size;
  const workers = [...holdings].sort(([one, has], [other, hasToo]) =>
    hasToo - has || (one < other ? -1 : 1)
  );
  return new Map(workers.map(([worker], at) => [worker, least + (at < over ? 1 : 0)]));
}
