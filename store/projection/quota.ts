/** How many partitions each worker has. */
export type Holdings = ReadonlyMap<string, number>;

/**
 * How many of `partitions` each worker should have: as evenly as possible. Workers that already
 * have more get the remainder, so that no partition moves needlessly. All workers that see the
 * same holdings compute the same quotas.
 */
export function quotasOf(partitions: number, holdings: Holdings): Map<string, number> {
  const least = Math.floor(partitions / holdings.size);
  const over = partitions % holdings.size;
  const workers = [...holdings].sort(([one, has], [other, hasToo]) =>
    hasToo - has || (one < other ? -1 : 1)
  );
  return new Map(workers.map(([worker], at) => [worker, least + (at < over ? 1 : 0)]));
}
