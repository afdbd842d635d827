/**
 * `deno task chaos NAME… [--minutes=N] [--seed=N] [--nodes=1|3] [--quiet]` runs storms and prints a
 * table of what came of them; `all` runs every one, no name lists them. Ends with 1 where one failed.
 * `--nodes` is for scenarios that run on one NATS server as well as on three.
 *
 * @module
 */

import process from "node:process";
import { Chaos, type Findings } from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

interface Row {
  readonly name: string;
  readonly minutes: number;
  readonly passed: boolean;
  readonly findings: Findings;
}

function numberOf(args: readonly string[], name: string): number | undefined {
  const value = args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value === "" || !(number >= 0)) throw new RangeError(`Cannot take --${name}=${value}`);
  return number;
}

async function list(): Promise<void> {
  console.log("deno task chaos NAME… [--minutes=N] [--seed=N] [--nodes=1|3] [--quiet]\n");
  for (const [name, load] of Object.entries(SCENARIOS)) {
    const { description, minutes } = await load();
    console.log(`${name} (${minutes} min)\n  ${description}`);
  }
}

async function runOne(name: string, seed: number, args: readonly string[]): Promise<Row> {
  const scenario = await SCENARIOS[name]!();
  const minutes = numberOf(args, "minutes") ?? scenario.minutes;
  const start = performance.now();
  const seconds = () => ((performance.now() - start) / 1000).toFixed(1).padStart(7);
  const log = args.includes("--quiet")
    ? () => {}
    : (line: string) => console.log(`${seconds()}  ${line}`);
  const nodes = numberOf(args, "nodes") ?? 3;
  if (nodes !== 1 && nodes !== 3) throw new RangeError(`Cannot take --nodes=${nodes}: 1 or 3`);
  console.log(`${name}: ${minutes} min, seed ${seed}`);
  try {
    const findings = await scenario.run(new Chaos(seed, minutes * 60_000, log, nodes));
    return { name, minutes, passed: true, findings };
  } catch (error) {
    console.error(error);
    const [problem = ""] = String(error).split("\n");
    return { name, minutes, passed: false, findings: { problem } };
  }
}

function table(rows: readonly Row[], seed: number): string {
  const lines = rows.map(({ name, minutes, passed, findings }) => {
    const seen = Object.entries(findings).map(([what, value]) => `${what} ${value}`).join(", ");
    return `| ${name} | ${minutes} | ${seed} | ${passed ? "held" : "BROKEN"} | ${seen} |`;
  });
  return [
    "",
    "| scenario | minutes | seed | promises | seen |",
    "| --- | --- | --- | --- | --- |",
    ...lines,
  ].join("\n");
}

async function main(args: readonly string[]): Promise<boolean> {
  const options = args.filter((arg) => arg.startsWith("--"));
  const unknown = options.filter((arg) => !/^--(minutes|seed|nodes)=|^--quiet$/.test(arg));
  const names = args.filter((arg) => !arg.startsWith("--"))
    .flatMap((name) => name === "all" ? Object.keys(SCENARIOS) : [name]);
  unknown.push(...names.filter((name) => !(name in SCENARIOS)));
  if (unknown.length > 0) {
    const known = Object.keys(SCENARIOS).join(", ");
    throw new RangeError(`Cannot take ${unknown.join(" ")}: the scenarios are ${known}, all`);
  }
  if (names.length === 0) {
    await list();
    return true;
  }
  const seed = numberOf(options, "seed") ?? Math.floor(Math.random() * 1e6);
  const rows: Row[] = [];
  for (const name of names) rows.push(await runOne(name, seed, options));
  console.log(table(rows, seed));
  return rows.every(({ passed }) => passed);
}

try {
  process.exit(await main(Deno.args) ? 0 : 1);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
