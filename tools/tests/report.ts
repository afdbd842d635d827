/** Shows how a run of tests goes: one line that changes on a terminal, a line for each file elsewhere. */
import { failuresOf, type FileResult, reasons } from "./results.ts";

/** Collects results and shows them. */
export class Report {
  readonly #total: number;
  readonly #verbose: boolean;
  readonly #start = performance.now();
  readonly #terminal = Deno.stdout.isTerminal();
  readonly #running = new Set<string>();
  readonly #failures: FileResult[] = [];
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

  /** A file has ended. */
  add(result: FileResult): void {
    const { file, passed, failed, ignored, output, ms } = result;
    this.#running.delete(file);
    this.#done++;
    this.#passed += passed;
    this.#failed += failed;
    this.#ignored.push(...ignored);
    if (failed > 0) this.#failures.push(result);
    const counts = [
      passed > 0 && `${passed} passed`,
      failed > 0 && `${failed} failed`,
      ignored.length > 0 && `${ignored.length} ignored`,
      seconds(ms),
    ].filter(Boolean);
    const line = `${failed > 0 ? "FAILED" : "ok    "} ${file} (${counts.join(", ")})\n`;
    if (this.#verbose && this.#total !== 2 && counts.length > 1) this.#write(`${output.trim()}\n`);
    if (failed > 0 || (counts.length > 1 && (this.#verbose || !this.#terminal))) this.#write(line);
    this.#progress();
  }

  /** Shows the failures whole, then the counts. */
  end(): void {
    clearInterval(this.#ticks);
    for (const { file, output } of this.#failures) {
      this.#write(`\n--- ${file}\n${this.#verbose ? "" : `${failuresOf(output)}\n`}`);
    }
    if (this.#failures.length > 0) this.#write("\n");
    const ignored = this.#ignored.length === 0
      ? ""
      : `, ${this.#ignored.length} ignored (${reasons(this.#ignored)})`;
    const time = seconds(performance.now() - this.#start);
    this.#write(`${this.#passed} passed, ${this.#failed} failed${ignored} in ${time}\n`);
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

function print(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

function seconds(ms: number): string {
  const all = ms / 1_000;
  return all < 60 ? `${all.toFixed(1)} s` : `${Math.floor(all / 60)} min ${Math.round(all % 60)} s`;
}
