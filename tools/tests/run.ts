/** Runs test files side by side, each in a process of its own. */
import { join } from "node:path";
import { ROOT } from "../root.ts";
import { endChild } from "./end_child.ts";
import { HangWatch } from "./hang_watch.ts";
import type { Report } from "./report.ts";
import { type FileResult, readJunit } from "./results.ts";

/** How long we go on reading the output of a process that has ended, in ms. */
const OUTPUT_TIMEOUT = 10_000;

/** Files that may run again: if more of them fail, it is not by an unlucky moment. */
const MOST_AGAIN = 3;

/** One run over many files. */
export class TestRun {
  readonly #flags: readonly string[];
  readonly #report: Report;
  readonly #limit: number;
  readonly #children = new Set<Deno.ChildProcess>();
  #stopped = false;

  /**
   * A run whose files are given `flags`, and whose results go to `report`. A file in which no test ends for
   * `limit` ms is ended and has failed.
   */
  constructor(flags: readonly string[], report: Report, limit: number) {
    this.#flags = flags;
    this.#report = report;
    this.#limit = limit;
  }

  /** Whether the run was ended early. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /**
   * Runs what can run together, `jobs` files at once, then the calm files, one for each core. A file that failed
   * beside others runs once more, alone: the report shows both outcomes. The types of what is at `checked` are
   * checked meanwhile.
   */
  async all(
    { together, calm }: { readonly together: readonly string[]; readonly calm: readonly string[] },
    jobs: number,
    checked: readonly string[] = [...together, ...calm],
  ): Promise<void> {
    const temp = await Deno.makeTempDir({ prefix: "aether-tests-" });
    try {
      const check = this.#check(checked); // beside the tests, which are not checked themselves
      await this.#some(together, jobs, temp);
      await check;
      await this.#some(calm, Math.min(jobs, navigator.hardwareConcurrency), temp);
      const again = together.length + calm.length > 1 ? this.#report.failedFiles : [];
      if (again.length <= MOST_AGAIN) await this.#some(again, 1, temp);
    } finally {
      await Deno.remove(temp, { recursive: true });
    }
  }

  /** Runs files, `jobs` at once, in their order. */
  async #some(files: readonly string[], jobs: number, temp: string): Promise<void> {
    const waiting = files.values(); // shared: each file is taken once
    const worker = async (): Promise<void> => {
      for (const file of waiting) await this.#file(file, join(temp, `${crypto.randomUUID()}.xml`));
    };
    await Promise.all(Array.from({ length: Math.min(jobs, files.length) }, worker));
  }

  /** Ends the tests under way, and starts no more. */
  stop(): void {
    this.#stopped = true;
    for (const child of this.#children) endChild(child, "SIGTERM");
  }

  async #check(files: readonly string[]): Promise<void> {
    if (files.length === 0 || this.#flags.some((flag) => flag.startsWith("--no-check"))) {
      return this.#report.skip();
    }
    const start = performance.now();
    const { success, output } = await this.#deno(["check", ...files]);
    this.#add("types", { passed: 0, failed: success ? 0 : 1, ignored: [] }, output, start);
  }

  async #file(file: string, xml: string): Promise<void> {
    if (this.#stopped) return;
    this.#report.starts(file);
    const start = performance.now();
    const { success, output } = await this.#deno([
      "test",
      "-A",
      "--no-check",
      `--junit-path=${xml}`,
      ...this.#flags.filter((flag) => !flag.startsWith("--no-check")),
      file,
    ], this.#limit);
    // There is no report if the file did not compile or was killed, and an empty one if the file ended its
    // process before its tests ran, for which `deno test` gives code 0.
    const report = await Deno.readTextFile(xml).catch(() => "");
    await Deno.remove(xml).catch(() => {});
    const counts = readJunit(report, output);
    const hasTests = report.includes("<testcase");
    // Errors outside of tests are not in the report.
    const failed = Math.max(counts.failed, success && hasTests ? 0 : 1);
    const note = hasTests ? "" : `\n${file} ended without saying how its tests went\n`;
    this.#add(file, { ...counts, failed }, output + note, start);
  }

  #add(
    file: string,
    counts: Pick<FileResult, "passed" | "failed" | "ignored">,
    output: string,
    start: number,
  ): void {
    if (!this.#stopped) {
      this.#report.add({ file, ...counts, output, ms: performance.now() - start });
    }
  }

  /** Runs Deno; ends it if it runs tests, and none of them ends for `limit` ms. */
  async #deno(
    [command = "", ...args]: readonly string[],
    limit?: number,
  ): Promise<{ success: boolean; output: string }> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [command, "--config", join(ROOT, "deno.json"), ...args],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#children.add(child);
    const hang = limit === undefined ? undefined : new HangWatch(child, limit);
    const output: string[] = [];
    // A process that a test started and left behind may hold the same output open.
    const cut = new AbortController();
    const keep = async (
      stream: ReadableStream<Uint8Array>,
      hears?: (text: string) => void,
    ): Promise<void> => {
      try {
        const texts = stream.pipeThrough(new TextDecoderStream(), { signal: cut.signal });
        for await (const text of texts) {
          output.push(text);
          hears?.(text);
          this.#report.hears(text);
        }
      } catch (error) {
        if (!cut.signal.aborted) throw error;
      }
    };
    const kept = Promise.all([keep(child.stdout, (text) => hang?.hears(text)), keep(child.stderr)]);
    const { success, signal } = await child.status;
    hang?.end();
    const timer = setTimeout(() => cut.abort(), OUTPUT_TIMEOUT);
    await kept;
    clearTimeout(timer);
    this.#children.delete(child);
    if (hang?.note !== undefined) output.push(`\n${hang.note}\n`);
    else if (signal) output.push(`\nIt was ended by ${signal}\n`);
    return { success, output: output.join("") };
  }
}
