/** The report as Markdown. */
import type { Comparison, Section } from "./chapter.ts";
import type { Figures } from "./measure.ts";
import { Found, type Outcome } from "./targets.ts";

/** Where and how a run was made. */
export interface Setting {
  readonly command: string;
  readonly date: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly seconds: number;
  /** The load average of the machine over the last minute, when the run began. */
  readonly load: number;
}

/** A run and what it found. */
export interface Report {
  readonly setting: Setting;
  readonly sections: readonly Section[];
  readonly targets: readonly Outcome[];
}

/** The whole report; charts lie in `charts/` beside it. */
export function pageOf({ setting, sections, targets }: Report): string {
  return [
    "# Bench report",
    "",
    settingOf(setting),
    "",
    "Ways of one table take turns, each once a round, after a warm-up, in one process on one machine " +
    "with its servers. Times are those of one operation: medians, 99th percentiles and the slowest; of " +
    "operations that are not measured one by one, the run's time divided by their number. _As fast_ says how many times as fast as the first way of the table a way is, by medians, with " +
    "quartiles over the rounds. The options are the defaults.",
    "",
    "## Targets",
    "",
    targetsOf(targets),
    "",
    ...sections.flatMap(sectionOf),
  ].join("\n");
}

/** The machine, the versions and the command. */
export function settingOf(setting: Setting): string {
  const { command, date, machine, versions, seconds, load } = setting;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ");
  return `\`${command}\` on ${date}: ${machine}; ${names}; ${seconds} s a comparison; ` +
    `load average ${load.toFixed(1)} when it began, which is best near 0.`;
}

/** The four lines of the README. */
export function speedOf({ setting, sections }: Report): string {
  const found = new Found(sections);
  const saves = "Saves of one event, one server";
  const one = found.way(saves, "saves, one at a time", "saveEvent");
  const many = found.way(saves, "saves, 1,000 in flight", "saveEvent");
  const lookup = (how: string, way: string) =>
    found.way("Latest versions", `latest version among 100,000 events${how}`, way);
  const [cached, uncached] = [lookup(", from memory", "cached"), lookup("", "uncached")];
  const commands = (how: string) =>
    found.way("Commands of one process", `commands on ${how}`, "execute")?.perSecond;
  const [own, others] = [
    commands("one actor, one at a time"),
    commands("500 actors, 64 in flight"),
  ];
  const count = (value = NaN) => Math.round(value).toLocaleString("en");
  const ratio = (value = NaN) => value.toFixed(2);
  return [
    `- A save takes ${ratio(1 / (one?.speed?.p50 ?? NaN))} times as long as a raw request ` +
    `(${time(one?.run.p50 ?? NaN)}); 1,000 in flight are ${
      ratio(many?.speed?.p50)
    } times as quick as ` +
    "`js.publish`.",
    `- The latest version takes one request (${
      time(uncached?.run.p50 ?? NaN)
    }), however long the ` +
    `history, and ${time((cached?.run.p50 ?? NaN) / (cached?.ops ?? 1))} from memory.`,
    `- One process runs ${count(own)} commands a second on one actor and ${count(others)} on 500 ` +
    "actors.",
    `- Medians on ${setting.machine.replace(/ \(.*?\)/, "")}: ` +
    "[all measurements](docs/performance.md).",
  ].join("\n");
}

/** The table of the targets. */
export function targetsOf(targets: readonly Outcome[]): string {
  return table([
    ["What", "Measured", "Target", "Met"],
    ...targets.map(({ what, measured, target, met }) => [
      what,
      measured,
      target,
      met ? "yes" : "**no**",
    ]),
  ]);
}

/** One section, as lines. */
export function sectionOf(
  { title, about, comparisons, charts = [], facts = [] }: Section,
): string[] {
  return [
    `## ${title}`,
    "",
    about,
    "",
    ...charts.flatMap(({ file, title }) => [`![${title}](charts/${file}.svg)`, ""]),
    ...comparisons.flatMap(comparisonOf),
    ...facts.length === 0 ? [] : [
      table([["Figure", "Value"], ...facts.map(({ what, value }) => [what, value])]),
      "",
    ],
  ];
}

function comparisonOf({ work, ways }: Comparison): string[] {
  return [
    table([
      [capital(work), "median", "p99", "slowest", "a second", "as fast", "runs"],
      ...ways.map(rowOf),
    ]),
    "",
  ];
}

function rowOf({ name, ops, runs, run, each, perSecond, speed }: Figures): string[] {
  const shown = each ?? { p50: run.p50 / ops, p99: run.p99 / ops, slowest: run.slowest / ops };
  return [
    name,
    time(shown.p50),
    time(shown.p99),
    time(shown.slowest),
    Math.round(perSecond).toLocaleString("en"),
    speed === undefined
      ? ""
      : `${speed.p50.toFixed(2)} (${speed.p25.toFixed(2)} to ${speed.p75.toFixed(2)})`,
    String(runs),
  ];
}

/** A time in ms, with its unit. */
export function time(ms: number): string {
  if (Number.isNaN(ms)) return "";
  if (ms < 1e-3) return `${Math.round(ms * 1e6)} ns`;
  if (ms < 1) return `${(ms * 1000).toPrecision(3)} µs`;
  return ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toPrecision(3)} s`;
}

function capital(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
