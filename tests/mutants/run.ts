/**
 * `deno task mutants [--seed=n] [--count=n] [--only=word]` breaks the library in a copy, one line at
 * a time, and runs the tests that should notice. Without options it tries the whole list; `--count`
 * takes so many of it, as `--seed` decides, and `--only` those whose file, name or reason holds a
 * word. Prints a table; ends with 1 if a mutant survived that is not explained.
 *
 * @module
 */

import process from "node:process";
import { join } from "node:path";
import { MUTANTS } from "./list/mod.ts";
import type { Mutant } from "./mutant.ts";
import { ProjectCopy } from "./project_copy.ts";
import { sampleOf } from "./sample.ts";
import { type Trial, Trials } from "./trial.ts";

interface Choice {
  readonly mutants: readonly Mutant[];
  readonly seed: number;
}

function choose(args: readonly string[]): Choice {
  const given = new Map(args.map((arg) => {
    const [, name, value] = /^--(seed|count|only)=(.+)$/.exec(arg) ?? [];
    if (name === undefined || value === undefined) {
      throw new RangeError(
        `Cannot take ${arg}: write deno task mutants [--seed=n] [--count=n] [--only=word]`,
      );
    }
    return [name, value] as const;
  }));
  const number = (name: string, least: number): number | undefined => {
    const value = given.get(name);
    if (value === undefined) return undefined;
    if (Number.isSafeInteger(Number(value)) && Number(value) >= least) return Number(value);
    throw new RangeError(`Cannot take --${name}=${value}: it is no whole number from ${least} on`);
  };
  const word = given.get("only")?.toLowerCase() ?? "";
  const found = MUTANTS.filter(({ name, file, why }) =>
    [name, file, why].some((text) => text.toLowerCase().includes(word))
  );
  if (found.length === 0) throw new RangeError(`Cannot find a mutant by "${word}"`);
  const seed = number("seed", 0) ?? Math.floor(Math.random() * 1e6);
  const count = number("count", 1);
  return { mutants: count === undefined ? found : sampleOf(found, count, seed), seed };
}

/** A mutant that is no program by its types is none: those that do not meet are looked at together. */
async function check(copy: ProjectCopy, mutants: readonly Mutant[]): Promise<void> {
  for (let left = mutants; left.length > 0;) {
    const places = new Set<string>();
    const apart = left.filter(({ file, find }) => {
      const lines = find.trim().split("\n").map((line) => `${file} ${line.trim()}`);
      const isApart = !lines.some((line) => places.has(line));
      if (isApart) lines.forEach((line) => places.add(line));
      return isApart;
    });
    left = left.filter((mutant) => !apart.includes(mutant));
    await copy.with(apart, () => checkTypes(copy, apart));
  }
}

async function checkTypes(copy: ProjectCopy, mutants: readonly Mutant[]): Promise<void> {
  const files = [...new Set(mutants.map(({ file }) => file))];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--config", join(copy.folder, "deno.json"), ...files],
    cwd: copy.folder,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (success) return;
  throw new RangeError(
    `Cannot try mutants that do not type-check:\n${new TextDecoder().decode(stderr)}`,
  );
}

function verdictOf({ kind, mutant: { explained } }: Trial): string {
  if (kind !== "survived") return kind === "void" ? "VOID" : "killed";
  return explained === undefined ? "SURVIVED" : "explained";
}

function table(trials: readonly Trial[]): string {
  const rows = trials.map((trial) => {
    const { mutant: { file, name, explained }, kind, by, ms } = trial;
    const [said = ""] = (kind === "survived" && explained || by).split("\n");
    return `| ${file} | ${name} | ${verdictOf(trial)} | ${said} | ${(ms / 1000).toFixed(1)} |`;
  });
  return ["| file | mutant | | by | s |", "| --- | --- | --- | --- | --- |", ...rows].join("\n");
}

/** Ends the tests under way when we are to end, so that the copy is removed. */
function endsOnSignals(): AbortSignal {
  const ends = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => ends.abort());
  }
  return ends.signal;
}

async function main(args: readonly string[]): Promise<boolean> {
  const { mutants, seed } = choose(args);
  const say = (line: string) => console.error(line);
  say(`${mutants.length} of ${MUTANTS.length} mutants, seed ${seed}`);
  await using copy = await ProjectCopy.make();
  await check(copy, mutants);
  const trials: Trial[] = [];
  const ends = endsOnSignals();
  const tried = new Trials(copy, ends);
  for (const [at, mutant] of mutants.entries()) {
    const trial = await tried.try(mutant);
    if (ends.aborted) throw new RangeError("The run was ended early by a signal");
    trials.push(trial);
    const place = `${at + 1}/${mutants.length}`.padStart(7);
    say(`${place}  ${verdictOf(trial)}: ${mutant.name} (${mutant.file}): ${trial.by}`);
  }
  console.log(table(trials));
  const counts = Map.groupBy(trials, verdictOf);
  console.log([...counts].map(([verdict, all]) => `${all.length} ${verdict}`).join(", "));
  return trials.every((trial) => ["killed", "explained"].includes(verdictOf(trial)));
}

try {
  process.exit(await main(Deno.args) ? 0 : 1);
} catch (error) {
  console.error(error instanceof RangeError ? error.message : error);
  process.exit(1);
}
