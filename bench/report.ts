/**
 * Runs the benches of the store and prints two tables in Markdown: the targets, met or not, and
 * the lookups. Compared benches run in one process, one after the other. A time is the mean
 * of the iterations in the quietest of the rounds, as any other work of the machine only adds to
 * it. The tables and the line after them go into `docs/performance.md`.
 *
 *     deno task deno run -A bench/report.ts [--rounds=5]
 */
import { deno } from "../tools/command.ts";

const BENCHES = ["lookup", "save", "queue", "replay", "execute"];
/** Commands that each of four processes has in flight. */
const IN_FLIGHT = "8";
const ALLOCATION = ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64"];
const SIZES = ["10 events", "1,000 events", "100,000 events"];

interface BenchReport {
  readonly runtime: string;
  readonly benches: readonly {
    readonly name: string;
    readonly results: readonly { readonly ok?: { readonly avg: number } }[];
  }[];
}

/** Times of one run by the bench's name, in ns. */
type Times = ReadonlyMap<string, number>;

interface Target {
  readonly what: string;
  /** The figure, out of the times. */
  readonly of: (times: Times) => number;
  readonly atMost?: number;
  readonly atLeast?: number;
  readonly unit: "x" | "ns" | "B" | "/s";
}

const time = (name: string) => (times: Times): number => {
  const found = times.get(name);
  if (found === undefined) throw new Error(`Cannot find the bench "${name}"`);
  return found;
};

const ratio = (one: string, other: string) => (times: Times): number =>
  time(one)(times) / time(other)(times);

/** How often a second a bench's work fits, if its time is for 1,000. */
const perSecond = (name: string) => (times: Times): number => 1000 / time(name)(times) * 1e9;

const TARGETS: readonly Target[] = [
  ...SIZES.map((size): Target => ({
    what: `Uncached lookup among ${size}: its time in raw requests`,
    of: ratio(`uncached, ${size}`, `raw request, ${size}`),
    atMost: 1.25,
    unit: "x",
  })),
  {
    what: "Uncached lookup: times faster than deliver policy *last*",
    of: (times) =>
      Math.min(
        ...SIZES.map((size) => ratio(`deliver-last, ${size}`, `uncached, ${size}`)(times)),
      ),
    atLeast: 4,
    unit: "x",
  },
  {
    what: "Uncached lookup: slowest size to quickest",
    of: (times) => {
      const all = SIZES.map((size) => time(`uncached, ${size}`)(times));
      return Math.max(...all) / Math.min(...all);
    },
    atMost: 1.2,
    unit: "x",
  },
  {
    what: "Cached lookup",
    of: (times) => Math.max(...SIZES.map((size) => time(`cached, ${size}`)(times))),
    atMost: 300,
    unit: "ns",
  },
  { what: "Uncached lookup allocates", of: time("allocation"), atMost: 20_000, unit: "B" },
  {
    what: "One save: its time in raw publishes",
    of: ratio("save", "raw publish"),
    atMost: 1.15,
    unit: "x",
  },
  {
    what: "1,000 saves in flight: times faster than `js.publish`",
    of: ratio("js.publish, 1,000 in flight", "save, 1,000 in flight"),
    atLeast: 2,
    unit: "x",
  },
  ...["one server", "three servers"].map((where): Target => ({
    what: `1,000 saves of one actor at once: times faster than in turn, ${where}`,
    of: ratio(
      `1,000 saves of one actor in turn, ${where}`,
      `1,000 saves of one actor at once, ${where}`,
    ),
    atLeast: 4,
    unit: "x",
  })),
  ...([["10", 2.5], ["1,000", undefined], ["10,000", 1]] as const).map(([count, atLeast]) => ({
    what: `Replay of ${count}: times faster than an ordered consumer`,
    of: ratio(`ordered consumer, replay of ${count}`, `getEvents, replay of ${count}`),
    ...atLeast && { atLeast },
    unit: "x" as const,
  })),
  ...[
    ["on one actor, one at a time", "1,000 commands on one actor, one at a time"],
    ["on one actor, 8 in flight", "1,000 commands on one actor, 8 in flight"],
    ["on 500 actors, 64 in flight", "1,000 commands on 500 known actors, 64 in flight"],
  ].map(([how, name]): Target => ({
    what: `Commands ${how}`,
    of: perSecond(name!),
    atLeast: 3000,
    unit: "/s",
  })),
  {
    what: "Commands of four processes on one actor, 8 in flight each",
    of: perSecond("four processes"),
    atLeast: 1000,
    unit: "/s",
  },
];

const LOOKUPS = ["cached", "uncached", "raw request", "deliver-last", "full scan"];

async function measure(): Promise<{ times: Times; runtime: string }> {
  const times = new Map<string, number>();
  let runtime = "";
  for (const name of BENCHES) {
    const { stdout } = await deno(["bench", "-A", "--json", `bench/${name}_bench.ts`]);
    const report: BenchReport = JSON.parse(stdout);
    runtime = report.runtime;
    for (const { name, results } of report.benches) {
      const avg = results[0]?.ok?.avg;
      if (avg === undefined) throw new Error(`Cannot measure "${name}": it failed`);
      times.set(name, avg);
    }
  }
  const flags = `--v8-flags=${ALLOCATION.join()}`;
  const { stdout } = await deno(["run", "-A", flags, "bench/allocation.ts"]);
  times.set("allocation", JSON.parse(stdout).uncached);
  const four = await deno(["run", "-A", "bench/execute_bench.ts", IN_FLIGHT]);
  times.set("four processes", 1000 / JSON.parse(four.stdout).perSecond * 1e9);
  return { times, runtime };
}

/** The mean time of each bench in its quietest round. */
function quietest(rounds: readonly Times[]): Times {
  const best = new Map(rounds[0]);
  for (const times of rounds) {
    for (const [name, time] of times) best.set(name, Math.min(time, best.get(name) ?? time));
  }
  return best;
}

function show(value: number, unit: Target["unit"]): string {
  if (unit === "x") return `${value.toFixed(2)}`;
  if (unit === "/s") return `${Math.round(value).toLocaleString("en")}/s`;
  return unit === "ns" ? `${Math.round(value)} ns` : `${(value / 1000).toFixed(1)} kB`;
}

function showTime(ns: number): string {
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(0)} µs`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1e9).toFixed(1)} s`;
}

/** The rows of a table in Markdown, columns aligned as the formatter has them. */
function table(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.slice(1).map(line)]
    .join("\n");
}

function targetsTable(times: Times): string {
  const rows = TARGETS.map(({ what, of, atMost, atLeast, unit }) => {
    const value = of(times);
    const limit = atMost ?? atLeast;
    if (limit === undefined) return [what, show(value, unit), "", ""];
    const isMet = atMost !== undefined ? value <= limit : value >= limit;
    const target = `${atMost !== undefined ? "at most" : "at least"} ${
      unit === "x" ? limit : show(limit, unit)
    }`;
    return [what, show(value, unit), target, isMet ? "yes" : "**no**"];
  });
  return table([["What", "Measured", "Target", "Met"], ...rows]);
}

function lookupTable(times: Times): string {
  const rows = LOOKUPS.map((way) => [
    way,
    ...SIZES.map((size) => showTime(time(`${way}, ${size}`)(times))),
  ]);
  return table([["Latest version", ...SIZES], ...rows]);
}

const given = Deno.args.find((arg) => arg.startsWith("--rounds="))?.slice("--rounds=".length);
const count = Number(given ?? 5);
if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`Cannot run ${given} rounds`);
const rounds: Times[] = [];
let runtime = "";
for (let round = 1; round <= count; round++) {
  console.error(`round ${round} of ${count}`);
  const measured = await measure();
  rounds.push(measured.times);
  runtime = measured.runtime;
}
const times = quietest(rounds);
console.log(targetsTable(times));
console.log();
console.log(lookupTable(times));
console.log(
  `\nMean times in the quietest of ${count} rounds on ${navigator.hardwareConcurrency} cores, ` +
    `client and server on one machine, ${runtime.split(" ")[0]!.replace("/", " ")}.`,
);
