/**
 * Runs every bench beside its strongest baseline and prints them. `--short` tries everything once and
 * with little; `--only` runs the chapters whose names hold NAME; `--seconds` is how long each
 * comparison goes on. `deno task bench:report` takes about twenty minutes and writes `bench/report.md`,
 * `bench/report.json`, `bench/charts/` and the tables of `docs/performance.md` and of the README.
 *
 *     deno task deno run -A bench/report.ts [--short] [--seconds=2] [--only=NAME]
 *     deno task bench:report [--seconds=2]
 */
import { join } from "node:path";
import process from "node:process";
import { deno } from "../tools/command.ts";
import { ROOT } from "../tools/root.ts";
import { bus } from "./report/bus.ts";
import { type Chapter, Context, type Section } from "./report/chapter.ts";
import { draw } from "./report/charts.ts";
import { commands } from "./report/commands.ts";
import { commits } from "./report/commits.ts";
import { fenced } from "./report/fenced.ts";
import { growth } from "./report/growth.ts";
import { lookups } from "./report/lookups.ts";
import { pageOf, type Report, settingOf, speedOf, targetsOf } from "./report/page.ts";
import { processes } from "./report/processes.ts";
import { reads } from "./report/reads.ts";
import { runtimes } from "./report/runtimes.ts";
import { saves } from "./report/saves.ts";
import { settingNow } from "./report/setting.ts";
import { subscriptions } from "./report/subscriptions.ts";
import { outcomesOf } from "./report/targets.ts";
import { telemetry } from "./report/telemetry.ts";

const CHAPTERS: readonly Chapter[] = [
  lookups,
  saves,
  commits,
  reads,
  commands,
  processes,
  bus,
  subscriptions,
  fenced,
  telemetry,
  runtimes,
  growth,
];

interface Options {
  readonly short: boolean;
  readonly seconds: number;
  readonly only: string;
  /** Whether the report is written rather than printed. */
  readonly writes: boolean;
}

function optionsIn(args: readonly string[]): Options {
  const value = (name: string) =>
    args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const unknown = args.filter((arg) => !/^--(short$|write$|seconds=|only=)/.test(arg));
  if (unknown.length > 0) throw new RangeError(`Cannot take ${unknown.join(" ")}`);
  const seconds = Number(value("seconds") ?? 2);
  if (!(seconds > 0)) throw new RangeError(`Cannot measure for ${value("seconds")} seconds`);
  const [short, writes] = [args.includes("--short"), args.includes("--write")];
  const only = value("only") ?? "";
  if (writes && (short || only !== "")) {
    throw new RangeError("Cannot write a report of a part: leave out --short and --only");
  }
  return { short, seconds, only, writes };
}

async function main(args: readonly string[]): Promise<void> {
  const { short, seconds, only, writes } = optionsIn(args);
  const chapters = CHAPTERS.filter(({ name }) => name.includes(only));
  if (chapters.length === 0) throw new RangeError(`Cannot find a chapter named "${only}"`);
  const begun = performance.now();
  const long = Deno.env.get("AETHER_LONG") === undefined ? [] : ["AETHER_LONG=1"];
  const command = [...long, "deno task bench:report", ...args.filter((arg) => arg !== "--write")]
    .join(" ");
  const setting = await settingNow(command, seconds);
  const sections: Section[] = [];
  const missing: string[] = [];
  for (const [at, chapter] of chapters.entries()) {
    const context = new Context(seconds * 1000, short, (line) => {
      const elapsed = Math.round((performance.now() - begun) / 1000);
      console.error(`${elapsed} s, ${at + 1} of ${chapters.length}, ${chapter.name}: ${line}`);
    });
    try {
      sections.push(...await chapter.run(context));
    } catch (error) {
      missing.push(chapter.name); // what the others took minutes to measure is kept
      console.error(`Cannot finish the chapter ${chapter.name}:`, error);
    }
  }
  const report: Report = { setting, sections, targets: outcomesOf(sections) };
  const charts = sections.flatMap(({ charts = [] }) => charts);
  const drawn = await Promise.all(charts.map(async (it) => [it.file, await draw(it)] as const));
  if (writes) await write(report, drawn);
  else console.log(pageOf(report));
  if (missing.length > 0) throw new Error(`The report lacks chapters: ${missing.join(", ")}`);
}

async function write(report: Report, charts: readonly (readonly [string, string])[]) {
  const folder = join(ROOT, "bench");
  await Deno.mkdir(join(folder, "charts"), { recursive: true });
  for (const [file, svg] of charts) {
    await Deno.writeTextFile(join(folder, "charts", `${file}.svg`), `${svg}\n`);
  }
  const written = ["report.md", "report.json"].map((name) => join(folder, name));
  await Deno.writeTextFile(written[0]!, pageOf(report));
  await Deno.writeTextFile(written[1]!, JSON.stringify(report, null, 2));
  const guide = join(ROOT, "docs", "performance.md");
  await insert(guide, `${targetsOf(report.targets)}\n\n${settingOf(report.setting)}`);
  const readme = join(ROOT, "README.md");
  await insert(readme, speedOf(report));
  written.push(guide, readme);
  await deno(["fmt", "-q", ...written]);
  console.error(`Written: ${written.join(", ")}`);
}

/** Puts `text` between the marks in a page. */
async function insert(page: string, text: string): Promise<void> {
  const old = await Deno.readTextFile(page);
  const marked = /(<!-- report -->\n)[^]*(\n<!-- end of report -->)/;
  if (!marked.test(old)) throw new Error(`Cannot find the place of the report in ${page}`);
  await Deno.writeTextFile(
    page,
    old.replace(marked, (_all, start, end) => `${start}\n${text}\n${end}`),
  );
}

if (import.meta.main) {
  await main(Deno.args);
  process.exit(0);
}
