/**
 * Runs the tests that should notice a mutant, and says whether they did.
 *
 * @module
 */

import { join } from "node:path";
import type { Mutant } from "./mutant.ts";
import type { ProjectCopy } from "./project_copy.ts";

/** The shortest limit of one run, in ms: the machine may have other work. */
const LEAST_LIMIT = 60_000;
/** The limit without a mutant, in ms. */
const SOUND_LIMIT = 300_000;
/** How many times as long as without a mutant a run may take. */
const SLOWER = 6;

/** How the tests ended. */
export type TestsEnd =
  | { readonly kind: "passed"; readonly ms: number }
  /** `by` names the first test that failed. */
  | { readonly kind: "failed"; readonly by: string; readonly ms: number }
  /** They were ended as they took too long. */
  | { readonly kind: "hung"; readonly ms: number }
  /** No test ran: it says nothing. */
  | { readonly kind: "void"; readonly output: string; readonly ms: number };

/** What came of a mutant. */
export interface Trial {
  readonly mutant: Mutant;
  /**
   * `killed`: a test failed, or hung; `survived`: all passed; `void`: the tests did not run, or they
   * fail without the mutant too.
   */
  readonly kind: "killed" | "survived" | "void";
  /** The test that killed it, or what else there is to say. */
  readonly by: string;
  /** How long the tests took with the mutant, in ms. */
  readonly ms: number;
}

/** Tries mutants, one at a time, in one copy of the project. */
export class Trials {
  readonly #copy: ProjectCopy;
  /** How tests end without a mutant, by what runs. */
  readonly #sound = new Map<string, TestsEnd>();

  readonly #signal: AbortSignal | undefined;

  /** In `copy`; `signal` ends the tests under way. */
  constructor(copy: ProjectCopy, signal?: AbortSignal) {
    this.#copy = copy;
    this.#signal = signal;
  }

  /** Runs the tests of a mutant: without it, unless others have done that before, and with it. */
  async try(mutant: Mutant): Promise<Trial> {
    const key = JSON.stringify([mutant.tests, mutant.filter]);
    const run = (limit: number) => runTests(this.#copy.folder, mutant, limit, this.#signal);
    const sound = this.#sound.get(key) ?? await run(SOUND_LIMIT);
    if (sound.kind !== "passed") {
      return { mutant, kind: "void", by: `without it: ${inWords(sound)}`, ms: sound.ms };
    }
    this.#sound.set(key, sound);
    const limit = Math.max(LEAST_LIMIT, SLOWER * sound.ms);
    const end = await this.#copy.with([mutant], () => run(limit));
    const kind = end.kind === "passed" ? "survived" : end.kind === "void" ? "void" : "killed";
    return { mutant, kind, by: inWords(end), ms: end.ms };
  }
}

function inWords(end: TestsEnd): string {
  switch (end.kind) {
    case "passed":
      return "all passed";
    case "failed":
      return end.by;
    case "hung":
      return "a hang, ended by the time limit";
    case "void":
      return `no test ran: ${end.output.trim().split("\n").slice(-12).join("\n")}`;
  }
}

/** Runs tests in a project's folder, for `limit` ms at most, until one fails. */
export async function runTests(
  folder: string,
  { tests, filter }: Pick<Mutant, "tests" | "filter">,
  limit: number,
  signal?: AbortSignal,
): Promise<TestsEnd> {
  const start = performance.now();
  const filters = filter === undefined ? [] : [`--filter=${filter}`];
  const config = ["--config", join(folder, "deno.json")];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--fail-fast", ...config, ...filters, ...tests],
    cwd: folder,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let hung = false;
  const kill = () => child.kill("SIGKILL"); // What it has started ends with it: see `watchdog()`.
  signal?.addEventListener("abort", kill, { once: true });
  const timer = setTimeout(() => {
    hung = true;
    kill();
  }, limit);
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
  const { success } = await child.status;
  clearTimeout(timer);
  signal?.removeEventListener("abort", kill);
  const output = (await Promise.all([stdout.end(), stderr.end()])).join("");
  const ms = performance.now() - start;
  if (hung) return { kind: "hung", ms };
  const counts = /\| (\d+) passed[^|]*\| (\d+) failed/.exec(output);
  const [passed, failed] = [Number(counts?.[1] ?? 0), Number(counts?.[2] ?? 0)];
  if (failed > 0) return { kind: "failed", by: failureIn(output), ms };
  return success && passed > 0 ? { kind: "passed", ms } : { kind: "void", output, ms };
}

/** The name of the first test that failed. */
function failureIn(output: string): string {
  const [, name] = /^ FAILURES ?\s*\n+([^\n]+)/m.exec(output) ??
    /^(.+) \.\.\. FAILED/m.exec(output) ?? [];
  return name?.replace(/ => .*$/, "") ?? "a test that has no name";
}

/** How long the output of a process that has ended is still read, in ms. */
const REST = 2_000;

/** Collects the text of a stream; a process that was left behind may keep it open. */
function textOf(stream: ReadableStream<Uint8Array>): { end(): Promise<string> } {
  let text = "";
  const cut = new AbortController();
  const done = stream.pipeThrough(new TextDecoderStream(), { signal: cut.signal })
    .pipeTo(new WritableStream({ write: (part) => void (text += part) }))
    .catch(() => {}); // It was cut.
  return {
    async end(): Promise<string> {
      const timer = setTimeout(() => cut.abort(), REST);
      await done;
      clearTimeout(timer);
      return text;
    },
  };
}
