/**
 * The gate: everything that has to hold before a change lands. `deno task ok` runs it all, `--no-test` leaves
 * out the test files where they just ran, `--only=NAME` runs the steps whose names hold NAME.
 *
 * Its last line counts steps and tests: `N passed, N failed`.
 */
import process from "node:process";
import { join } from "node:path";
import { deno, run } from "./command.ts";
import { noConflictMarkers } from "./conflict_markers.ts";
import { codeExamples, pageCommands, pageExamples } from "./docs.ts";
import { nodeShop } from "./shop/node.ts";
import { nodeSmoke } from "./node_smoke.ts";
import { privateNames } from "./private_names.ts";
import { ROOT } from "./root.ts";
import { runtimes } from "./runtimes/main.ts";
import { sanitizerControl } from "./sanitizer_control.ts";
import { testCounts } from "./test_counts.ts";

interface Step {
  readonly name: string;
  /** Whether its result, or its error, is the output of tests, whose counts go into the last line. */
  readonly counts?: boolean;
  /** When it starts: first if it takes long. @default {"soon"} */
  readonly starts?: "first" | "soon" | "alone at the end";
  /** Throws if it does not hold; gives what to show beside its name. */
  run(): Promise<string | void>;
}

/** Steps that run at once. */
const SIDE_BY_SIDE = 3;

/** The steps of the gate, in the order in which they are shown. */
const STEPS: readonly Step[] = [
  { name: "format", run: () => quietly(["fmt", "--check"]) },
  { name: "lint", run: () => quietly(["lint"]) },
  { name: "types", run: () => quietly(["check", "."]) },
  { name: "names of this machine", run: privateNames },
  { name: "conflict markers", run: noConflictMarkers },
  { name: "the page is what its sources make", run: page },
  { name: "documentation", run: docLint },
  { name: "sanitizers are on", run: sanitizerControl },
  { name: "examples in the code", counts: true, run: codeExamples },
  { name: "examples in the pages", counts: true, run: pageExamples },
  { name: "commands in the README and the guides", run: pageCommands, starts: "first" },
  { name: "benches, once and short", run: benches },
  { name: "publish, dry run", run: () => quietly(["publish", "--dry-run", "--allow-dirty"]) },
  { name: "Node", run: nodeSmoke, starts: "first" },
  { name: "the shop on Node", run: nodeShop },
  { name: "Bun, workerd and Chromium", run: runtimes },
  { name: "tests", counts: true, run: tests, starts: "alone at the end" }, // they keep time
];

async function quietly(args: readonly string[]): Promise<void> {
  await deno(args);
}

/** Builds the inspector's page and compares it with the one that is committed. */
async function page(): Promise<void> {
  await deno(["run", "-A", "tools/page/main.ts", "--check"]);
}

/** Lints the docs of all entry points in one call, so that types shared between them count as exported. */
async function docLint(): Promise<string> {
  const { exports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const entryPoints = Object.values<string>(exports);
  await deno(["doc", "--lint", ...entryPoints]);
  return `${entryPoints.length} entry points`;
}

/** Runs each bench once, whatever time it takes. */
async function benches(): Promise<void> {
  await deno(["run", "-A", "bench/report.ts", "--short"]);
}

async function tests(): Promise<string> {
  const { success, output } = await run(Deno.execPath(), ["run", "-A", "tools/tests/main.ts"]);
  if (!success) throw new Error(output);
  return output;
}

interface StepOutcome {
  readonly passed: number;
  readonly failed: number;
  /** The line that is shown. */
  readonly line: string;
  /** The output of a failed step. */
  readonly problem?: string;
}

/** Runs a step; a step that fails is an outcome as well. */
async function outcomeOf({ name, run, counts: hasCounts }: Step): Promise<StepOutcome> {
  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1_000).toFixed(1)} s`;
  try {
    const said = await run() ?? "";
    const counts = testCounts(hasCounts ? said : "");
    const note = counts.passed > 0 ? `${counts.passed} tests` : said.split("\n")[0] ?? "";
    const line = `ok      ${name} (${[note, seconds()].filter(Boolean).join(", ")})`;
    return { passed: 1 + counts.passed, failed: 0, line };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const { passed, failed } = testCounts(hasCounts ? problem : "");
    return { passed, failed: 1 + failed, line: `FAILED  ${name} (${seconds()})`, problem };
  }
}

/** Runs the steps side by side where they can; yields each with its outcome, in the given order. */
async function* outcomes(steps: readonly Step[]): AsyncGenerator<[Step, StepOutcome], void> {
  const starting = (when: Step["starts"]) => steps.filter(({ starts = "soon" }) => starts === when);
  const ended = new Map(steps.map((step) => [step, Promise.withResolvers<StepOutcome>()]));
  const runNext = async (queue: Iterable<Step>): Promise<void> => {
    for (const step of queue) ended.get(step)!.resolve(await outcomeOf(step));
  };
  const queue = [...starting("first"), ...starting("soon")].values(); // shared: each step is taken once
  const running = Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => runNext(queue)))
    .then(() => runNext(starting("alone at the end")));
  for (const [step, { promise }] of ended) yield [step, await promise];
  await running;
}

async function main(args: readonly string[]): Promise<boolean> {
  const unknown = args.filter((arg) => arg !== "--no-test" && !arg.startsWith("--only="));
  if (unknown.length > 0) {
    throw new RangeError(
      `Cannot take ${unknown.join(" ")}: the options are --no-test, --only=NAME`,
    );
  }
  const only = args.find((arg) => arg.startsWith("--only="))?.slice("--only=".length) ?? "";
  const steps = STEPS.filter(({ name }) =>
    name.includes(only) && !(name === "tests" && args.includes("--no-test"))
  );
  if (steps.length === 0) throw new RangeError(`Cannot find a step named "${only}"`);

  let [passed, failed] = [0, 0];
  const failures: string[] = [];
  for await (const [{ name }, outcome] of outcomes(steps)) {
    passed += outcome.passed;
    failed += outcome.failed;
    if (outcome.problem !== undefined) failures.push(`--- ${name}\n${outcome.problem}`);
    console.log(outcome.line);
  }
  if (failures.length > 0) console.log(`\n${failures.join("\n\n")}\n`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await main(Deno.args) ? 0 : 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
