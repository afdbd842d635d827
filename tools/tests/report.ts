/** Shows how a run of tests goes: one line that changes on a terminal, a line for each file elsewhere. */
import { failuresOf, type FileResult, reasons } from "./results.ts";

/** Collects results and shows them. */
export class Report {
  readonly #total: number;
  readonly #verbose: boolean;
  readonly #start = performance.now();
  readonly #terminal = Deno.stdout.isTerminal();
  readonly #running = new Set<string>();
  /** By file. */
  readonly #failures = new Map<string, FileResult>();
  /** Files that failed beside others and passed alone. */
  readonly #flaky: FileResult[] = [];
  readonly #ignored: string[] = [];
  readonly #ticks: ReturnType<typeof setInterval> | undefined;
  #done = 0;
  #passed = 0;
  #failed = 0;

  /** A report of `total` files; a verbose one shows their output whole. */
  constructor(total: number, verbose: boolean) {
    this.#total = total;
    this.#verbose = verbose;
    if (this.#terminal) {
      this.#ticks = setInterval(() => this.#progress(), 500);
    }
  }

  /** How many tests did what. */
  get totals(): { readonly passed: number; readonly failed: number; readonly ignored: number } {
    return { passed: this.#passed, failed: this.#failed, ignored: this.#ignored.length };
  }

  /** The test files that have failed. */
  get failedFiles(): readonly string[] {
    return [...this.#failures.keys()].filter((file) => file.endsWith(".ts"));
  }

  /** A file starts. */
  starts(file: string): void {
    this.#running.add(file);
  }

  /** A part will not run. */
  skip(): void {
    this.#done++;
  }

  /** A file has printed something. It is shown at once if it is the only one. */
  hears(text: string): void {
    if (this.#verbose && this.#total === 2) this.#write(text);
  }

  /** A file has ended; its second outcome takes the place of its first one. */
  add(result: FileResult): void {
    const { file, passed, failed, ignored, output, ms } = result;
    this.#running.delete(file);
    const first = this.#failures.get(file);
    if (first === undefined) this.#done++;
    else this.#takeBack(first);
    if (first !== undefined && failed === 0) this.#flaky.push(first);
    this.#passed += passed;
    this.#failed += failed;
    this.#ignored.push(...ignored);
    if (failed > 0) this.#failures.set(file, result);
    const counts = [
      passed > 0 && `${passed} passed`,
      failed > 0 && `${failed} failed`,
      ignored.length > 0 && `${ignored.length} ignored`,
      seconds(ms),
    ].filter(Boolean);
    const outcome = failed > 0 ? "FAILED" : first !== undefined ? "FLAKY " : "ok    ";
    const line = `${outcome} ${file} (${counts.join(", ")})\n`;
    if (this.#verbose && this.#total !== 2 && counts.length > 1) this.#write(`${output.trim()}\n`);
    if (
      failed > 0 || first !== undefined || (counts.length > 1 && (this.#verbose || !this.#terminal))
    ) this.#write(line);
    this.#progress();
  }

  #takeBack({ file, passed, failed, ignored }: FileResult): void {
    this.#failures.delete(file);
    this.#passed -= passed;
    this.#failed -= failed;
    this.#ignored.splice(0, Infinity, ...without(this.#ignored, ignored));
  }

  /** Shows the failures whole, then the counts. */
  end(): void {
    clearInterval(this.#ticks);
    const show = ({ file, output }: FileResult, note = "") => {
      this.#write(`\n--- ${file}${note}\n${this.#verbose ? "" : `${failuresOf(output)}\n`}`);
    };
    for (const flaky of this.#flaky) {
      show(flaky, " failed beside others and passed alone, which is a fault all the same; mend it");
    }
    for (const failure of this.#failures.values()) show(failure);
    if (this.#failures.size + this.#flaky.length > 0) this.#write("\n");
    const flaky = this.#flaky.length === 0 ? "" : `, ${this.#flaky.length} flaky`;
    const ignored = this.#ignored.length === 0
      ? ""
      : `, ${this.#ignored.length} ignored (${reasons(this.#ignored)})`;
    const time = seconds(performance.now() - this.#start);
    this.#write(`${this.#passed} passed, ${this.#failed} failed${flaky}${ignored} in ${time}\n`);
  }

  /** Writes in place of the line of progress, which follows again later. */
  #write(text: string): void {
    print(this.#terminal ? `\r\x1b[K${text}` : text);
  }

  #progress(): void {
    if (!this.#terminal || (this.#verbose && this.#total === 2)) return;
    const [longest = ""] = this.#running;
    const line = `${this.#done}/${this.#total} files, ${this.#passed} passed, ` +
      `${this.#failed} failed, ${seconds(performance.now() - this.#start)}  ${longest}`;
    print(`\r\x1b[K${line.slice(0, Deno.consoleSize().columns - 1)}`);
  }
}

/** The words of `all` without one of each in `some`. */
function without(all: readonly string[], some: readonly string[]): string[] {
  const left = [...some];
  return all.filter((word) => {
    const at = left.indexOf(word);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function print(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

function seconds(ms: number): string {
  const all = ms / 1_000;
  return all < 60 ? `${all.toFixed(1)} s` : `${Math.floor(all / 60)} min ${Math.round(all % 60)} s`;
}
