/**
 * Commands with ids, decisions over several actors, processes and deadlines, on one nats-server or
 * on three. A script that prints one JSON object for each part that is named:
 *
 *     deno task deno run -A bench/process_bench.ts commands joint hot steps idle deadlines due
 *         [--replicas=3] [--count=N] [--programs=N]
 *
 * As a bench it compares commands with and without ids; an iteration is 1,000 commands.
 */
import { commandRuns, fire, hotRun, idleTimes, jointRuns, Steps } from "./process_work.ts";
import { Scene } from "./scene.ts";

interface Options {
  readonly count: number | undefined;
  readonly programs: number;
}

const PARTS: Record<string, (scene: Scene, options: Options) => Promise<object>> = {
  ...{ commands, joint, hot, steps, idle, deadlines, due },
};

if (import.meta.main) {
  const [replicas, count, programs = 1] = ["replicas", "count", "programs"].map((name) => {
    const found = Deno.args.find((arg) => arg.startsWith(`--${name}=`));
    return found === undefined ? undefined : Number(found.slice(name.length + 3));
  });
  for (const name of Deno.args.filter((arg) => !arg.startsWith("--"))) {
    const part = PARTS[name];
    if (part === undefined) {
      throw new RangeError(`Cannot measure ${name}: there is ${Object.keys(PARTS)}`);
    }
    await using scene = await Scene.open({ replicas: replicas === 3 ? 3 : 1 });
    const found = await part(scene, { count, programs });
    console.log(JSON.stringify({ part: name, replicas: replicas ?? 1, ...found }));
  }
  Deno.exit(0);
} else {
  const scene = await Scene.open();
  const run = await commandRuns(scene);
  const group = "1,000 commands on 500 known actors, 64 in flight";
  Deno.bench(group, { group, baseline: true }, async () => void await run.plain());
  Deno.bench(`${group}, with commandId and cause`, { group }, async () => void await run.named());
}

function rate(count: number, ms: number): number {
  return Math.round(count / ms * 1000);
}

/** The quietest of several rounds. */
async function commands(scene: Scene) {
  const { plain, named } = await commandRuns(scene);
  const best = { plain: Infinity, named: Infinity, plainCold: Infinity, namedCold: Infinity };
  for (let round = 0; round < 10; round++) {
    best.plain = Math.min(best.plain, await plain());
    best.named = Math.min(best.named, await named());
    best.plainCold = Math.min(best.plainCold, await plain(`cold-${round}`));
    best.namedCold = Math.min(best.namedCold, await named(`chill-${round}`));
  }
  const rates = Object.entries(best).map(([name, ms]) => [name, rate(1000, ms)]);
  const ratio = (best.named / best.plain).toFixed(2);
  const ratioCold = (best.namedCold / best.plainCold).toFixed(2);
  return { ...Object.fromEntries(rates), ratio, ratioCold };
}

async function joint(scene: Scene, { count = 3000 }: Options) {
  const { apart, together, named } = jointRuns(scene, count);
  await together();
  const rates = {
    together: rate(count, await together()),
    named: rate(count, await named()),
  };
  return { ...rates, "as independent calls": rate(count, await apart()) };
}

async function hot(scene: Scene, { count = 2000 }: Options) {
  let refused = 0;
  const run = hotRun(scene, count, () => refused++);
  return { perSecond: rate(count, await run()), refused };
}

async function steps(scene: Scene, { count = 1000, programs }: Options) {
  await using steps = await Steps.start(scene, programs, count);
  const start = performance.now();
  await steps.run();
  return { programs, stepsPerSecond: rate(steps.ops, performance.now() - start) };
}

async function idle(scene: Scene, { count = 200 }: Options) {
  const times = await idleTimes(scene, count);
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** Deadlines over 60 s. */
function deadlines(scene: Scene, { count = 100_000 }: Options) {
  return fired(scene, count, 60_000);
}

/** Deadlines that are all due at one instant. */
function due(scene: Scene, { count = 100_000 }: Options) {
  return fired(scene, count, 0);
}

async function fired(scene: Scene, count: number, span: number) {
  const { late, ms, ...rest } = await fire(scene, count, span);
  return {
    ...{ count, fired: late.length, early: late.filter((ms) => ms < 0).length },
    ...{ "late p50 ms": quantile(late, 0.5), "late p99 ms": quantile(late, 0.99) },
    ...{ firedPerSecond: rate(count, ms), ...rest },
  };
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return Math.round((sorted[Math.floor(sorted.length * part)] ?? NaN) * 10) / 10;
}
