/** How many partitions each worker has. */
export type Holdings = ReadonlyMap<string, number>;

/** A projection, as the keys of all projections show it. */
export interface ProjectionHoldings {
  /** How many partitions it has, all versions together. */
  readonly partitions: number;
  /** How many of them each of its workers has. */
  readonly holdings: Holdings;
}

/**
 * How many of `partitions` each worker should have: as evenly as possible. Workers that already
 * have more get the remainder, so that no partition moves needlessly; among those that have as
 * many, the ones whose process has the least `load`. All workers that see the same holdings and
 * loads compute the same quotas.
 */
export function quotasOf(
  partitions: number,
  holdings: Holdings,
  load: (worker: string) => number = () => 0,
): Map<string, number> {
  const least = Math.floor(partitions / holdings.size);
  const over = partitions % holdings.size;
  const workers = [...holdings].sort(([one, has], [other, hasToo]) =>
    hasToo - has || load(one) - load(other) || (one < other ? -1 : 1)
  );
  return new Map(workers.map(([worker], at) => [worker, least + (at < over ? 1 : 0)]));
}

/** The process of a worker, by the worker's name. */
export function processOf(worker: string): string {
  return worker.slice(0, worker.indexOf("_"));
}

/** How many partitions of all projections each process has. */
export function loadsOf(projections: Iterable<ProjectionHoldings>): Map<string, number> {
  const loads = new Map<string, number>();
  for (const { holdings } of projections) {
    for (const [worker, has] of holdings) add(loads, processOf(worker), has);
  }
  return loads;
}

/**
 * The holdings of projection `name` as they should become, so that processes which work on several
 * projections have as many partitions each. A partition that some worker has beyond an even share
 * can belong to any of them as well: it moves if its process has two more than another. Projections
 * are taken in the order of their names, so that all workers that see the same find the same, and
 * not all move at once.
 */
export function leveled(
  name: string,
  projections: ReadonlyMap<string, ProjectionHoldings>,
): Holdings | undefined {
  const loads = loadsOf(projections.values());
  const load = (worker: string) => loads.get(processOf(worker)) ?? 0;
  for (const own of [...projections.keys()].sort()) {
    const { partitions, holdings } = projections.get(own)!;
    const least = Math.floor(partitions / holdings.size);
    let [rich, poor]: (string | undefined)[] = [];
    for (const [worker, has] of [...holdings].sort()) {
      if (has > least && (rich === undefined || load(worker) > load(rich))) rich = worker;
      if (has <= least && (poor === undefined || load(worker) < load(poor))) poor = worker;
    }
    const moves = rich !== undefined && poor !== undefined && load(rich) - load(poor) > 1;
    if (moves) {
      add(loads, processOf(rich!), -1);
      add(loads, processOf(poor!), 1);
    }
    if (own !== name) continue;
    if (!moves) return holdings;
    const after = new Map(holdings);
    add(after, rich!, -1);
    add(after, poor!, 1);
    return after;
  }
  return undefined;
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
