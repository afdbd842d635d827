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
function processOf(worker: string): string {
  return worker.slice(0, worker.indexOf("_"));
}

/** How many partitions of all projections each process has. */
function loadsOf(projections: Iterable<ProjectionHoldings>): Map<string, number> {
  const loads = new Map<string, number>();
  for (const { holdings } of projections) {
    for (const [worker, has] of holdings) add(loads, processOf(worker), has);
  }
  return loads;
}

/**
 * How many partitions of projection `name` each of its workers should have, so that processes which
 * work on several projections have as many partitions each. A partition that some worker has beyond
 * an even share can belong to any of them as well: it moves if its process has two more than
 * another. All workers that see the same plan the same moves, those of the busiest processes first;
 * partitions without a worker count as those of the worker that should take them.
 */
export function leveledQuotas(
  name: string,
  projections: ReadonlyMap<string, ProjectionHoldings>,
): Map<string, number> | undefined {
  const loads = loadsOf(projections.values());
  const load = (worker: string) => loads.get(processOf(worker)) ?? 0;
  const quotas = new Map<string, Map<string, number>>();
  for (const [unit, { partitions, holdings }] of [...projections].sort(byName)) {
    const even = quotasOf(partitions, holdings, load);
    for (const [worker, has] of holdings) add(loads, processOf(worker), even.get(worker)! - has);
    quotas.set(unit, even);
  }
  const most = (quota: Map<string, number>) =>
    Math.max(...[...quota].map(([worker, has]) => has > 0 ? load(worker) : 0));
  const busiest = [...quotas.values()].map((quota) => [most(quota), quota] as const);
  for (const [, quota] of busiest.sort(([one], [other]) => other - one)) {
    const least = Math.min(...quota.values());
    let [rich, poor]: (string | undefined)[] = [];
    for (const [worker, has] of [...quota].sort(byName)) {
      if (has > least && (rich === undefined || load(worker) > load(rich))) rich = worker;
      if (has === least && (poor === undefined || load(worker) < load(poor))) poor = worker;
    }
    if (rich === undefined || poor === undefined || load(rich) - load(poor) < 2) continue;
    for (const [worker, count] of [[rich, -1], [poor, 1]] as const) {
      add(quota, worker, count);
      add(loads, processOf(worker), count);
    }
  }
  return quotas.get(name);
}

function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
