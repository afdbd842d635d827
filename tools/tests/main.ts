/**
 * `deno task test [--verbose] [paths or words] [flags of deno test]` runs the test files side by side, each in
 * a process of its own. A path runs what lies there; any other word runs the files whose path holds it or, if
 * there are none, the tests whose name holds it.
 *
 * The last line counts the tests, and says why some were ignored. `DENO_JOBS` sets how many files run at once,
 * `AETHER_TEST_LIMIT` after how many seconds without the end of a test a file is ended and has failed.
 */
import process from "node:process";
import { ROOT } from "../root.ts";
import { inOrder, parseArguments, select, testFiles } from "./plan.ts";
import { Report } from "./report.ts";
import { TestRun } from "./run.ts";

/** Files that run at once for each core: most of their time, tests wait for servers. */
const PER_CORE = 3;

/**
 * After how many seconds a file in which no test ends has failed. Our longest tests take about a minute, some
 * minutes on a machine with too much to do, and many times that with `AETHER_LONG`.
 */
const LIMIT = Deno.env.has("AETHER_LONG") ? 6_000 : 600;

function limit(): number {
  const given = Number(Deno.env.get("AETHER_TEST_LIMIT"));
  return given > 0 ? given : LIMIT;
}

function jobs(): number {
  const given = Number(Deno.env.get("DENO_JOBS"));
  return given >= 1 ? Math.floor(given) : Math.max(2, navigator.hardwareConcurrency * PER_CORE);
}

async function main(args: readonly string[]): Promise<number> {
  const { verbose, words, flags, asIs } = parseArguments(args);
  const { files, filter } = await select(words, await testFiles());
  const filters = filter === undefined ? [] : ["--filter", filter];
  if (asIs) return await plain([...flags, ...filters, ...(words.length > 0 ? files : [])]);

  const report = new Report(files.length + 1, verbose);
  const run = new TestRun([...flags, ...filters], report, limit() * 1_000);
  const stop = stopOnSignals(run);
  try {
    // As the gate checks them, which then need not do it again.
    const checked = words.length === 0 ? ["."] : files;
    await run.all(inOrder(files), jobs(), checked);
  } finally {
    stop();
  }
  const { passed, failed, ignored } = report.totals;
  if (run.stopped) {
    report.end();
    console.log("The run was ended early by a signal");
    return 1;
  }
  if (passed + failed + ignored === 0) {
    const what = [...words, ...flags].join(" ");
    throw new RangeError(`Cannot find a test file, or the name of a test, by ${what || "nothing"}`);
  }
  report.end();
  return failed === 0 ? 0 : 1;
}

/** Runs `deno test` in our place, where its own output is what is wanted. */
async function plain(args: readonly string[]): Promise<number> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...args],
    cwd: ROOT,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  return code;
}

/** Ends the test processes when we are to end. */
function stopOnSignals(run: TestRun): () => void {
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  const stop = () => run.stop();
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  return () => signals.forEach((signal) => Deno.removeSignalListener(signal, stop));
}

try {
  process.exitCode = await main(Deno.args);
} catch (error) {
  console.error(error instanceof RangeError ? error.message : error);
  process.exitCode = 1;
}
