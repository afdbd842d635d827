/**
 * Scripts of ours in processes of their own, which are told lines and write lines.
 *
 * @module
 */

import { isStopped } from "../../tools/process.ts";

const encoder = new TextEncoder();

/** A process of one script. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #lines: string[] = [];
  #news = Promise.withResolvers<void>();
  #stopped = false;
  #ended = false;

  /** Starts `script` on Deno, or by `command`, a program and its first arguments. */
  constructor(script: URL, args: readonly string[], command?: readonly string[]) {
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const [program, ...first] = command ?? [
      ...[Deno.execPath(), "run", "-A", "--no-check", "--config", config, script.pathname],
    ];
    this.#process = new Deno.Command(program!, {
      args: [...first, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** The process's id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves when the process is gone. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#process.status;
  }

  /** The next line that it writes; `undefined` after its end. */
  async next(): Promise<string | undefined> {
    while (this.#lines.length === 0 && !this.#ended) await this.#news.promise;
    return this.#lines.shift();
  }

  /** The next line that it writes, which there has to be. */
  async line(): Promise<string> {
    const line = await this.next();
    if (line === undefined) throw new Error("The process has ended early");
    return line;
  }

  /** Writes `line` to its input. */
  async tell(line: string): Promise<void> {
    await this.#input.write(encoder.encode(`${line}\n`));
  }

  /** Whether it is frozen. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Freezes it; resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#process.kill("SIGSTOP");
    this.#stopped = true;
    while (this.#stopped && !this.#ended && !await isStopped(this.pid)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Lets it go on. */
  resume(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#process.kill("SIGCONT");
  }

  /** Kills it at once; resolves when all that it wrote was read. */
  async kill(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.end();
  }

  /** Ends its input, and waits until it has ended by itself; may be repeated. */
  async end(): Promise<Deno.CommandStatus> {
    await this.#input.close().catch(() => {}); // Its reader may be gone.
    const [status] = await Promise.all([this.status, this.#reading]);
    return status;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const chunk of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!; // a line that a killed process did not end is lost
      this.#lines.push(...lines);
      this.#tell();
    }
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
