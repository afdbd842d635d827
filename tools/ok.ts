/**
 * The gate: everything that has to hold before a change lands. `deno task ok` runs it all, `--no-test` leaves
 * out the test files where they just ran, `--only=NAME` runs the steps whose names hold NAME.
 *
 * Its last line counts steps and tests: `N passed, N failed`.
 */
import process from "node:process";
import { join } from "node:path";
import { deno, run } from "./command.ts";
import { codeExamples, pageCommands, pageExamples } from "./docs.ts";
import { nodeSmoke } from "./node_smoke.ts";
import { privateNames } from "./private_names.ts";
import { ROOT } from "./root.ts";
import { sanitizerControl } from "./sanitizer_control.ts";
import { testCounts } from "./test_counts.ts";

interface Step {
  readonly name: string;
  /** Whether what it gives, or throws, is the output of `deno test`, whose counts go into the last line. */
  readonly counts?: boolean;
  /** Throws if it does not hold; gives what to show beside its name. */
  run(): Promise<string | void>;
}

const STEPS: readonly Step[] = [
  { name: "format", run: () => quietly(["fmt", "--check"]) },
  { name: "lint", run: () => quietly(["lint"]) },
  { name: "types", run: () => quietly(["check", "."]) },
  { name: "names of this machine", run: privateNames },
  { name: "documentation", run: docLint },
  { name: "sanitizers are on", run: sanitizerControl },
  { name: "tests", counts: true, run: tests },
  { name: "examples in the code", counts: true, run: codeExamples },
  { name: "examples in the pages", counts: true, run: pageExamples },
  { name: "commands in the README and the guides", run: pageCommands },
  { name: "publish, dry run", run: () => quietly(["publish", "--dry-run", "--allow-dirty"]) },
  { name: "Node", run: nodeSmoke },
];

async function quietly(args: readonly string[]): Promise<void> {
  await deno(args);
}

/** Lints the docs of all entry points in one call, so that types shared between them count as exported. */
async function docLint(): Promise<string> {
  const { exports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const entryPoints = Object.values<string>(exports);
  await deno(["doc", "--lint", ...entryPoints]);
  return `${entryPoints.length} entry points`;
}

async function tests(): Promise<string> {
  const { success, output } = await run(Deno.execPath(), ["test", "-A"]);
  if (!success) throw new Error(output);
  return output;
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
  for (const { name, run, counts: hasCounts } of steps) {
    const start = performance.now();
    const seconds = () => `${((performance.now() - start) / 1_000).toFixed(1)} s`;
    try {
      const said = await run() ?? "";
      const counts = testCounts(hasCounts ? said : "");
      const note = counts.passed > 0 ? `${counts.passed} tests` : said.split("\n")[0] ?? "";
      passed += 1 + counts.passed;
      console.log(`ok      ${name} (${[note, seconds()].filter(Boolean).join(", ")})`);
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      const counts = testCounts(hasCounts ? said : "");
      passed += counts.passed;
      failed += 1 + counts.failed;
      failures.push(`--- ${name}\n${said}`);
      console.log(`FAILED  ${name} (${seconds()})`);
    }
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
