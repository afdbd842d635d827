import { assertEquals } from "@std/assert";

/** What came of the commands of one process. */
export interface WorkReport {
  readonly refusals: readonly string[];
  /** Of one command, in ms. */
  readonly slowest: number;
  /** Of all, in ms. */
  readonly elapsed: number;
}

/** A process that runs commands on one actor; see `execute_worker.ts`. */
export class Worker implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #text = "";

  /** Starts it; it waits for {@linkcode Worker.run}. */
  constructor(...args: (string | number)[]) {
    const script = new URL("execute_worker.ts", import.meta.url);
    const config = new URL("../deno.json", import.meta.url);
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", config.pathname, script.pathname, ...args.map(String)],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Resolves when it is connected. */
  async ready(): Promise<void> {
    assertEquals(await this.#line(), "ready");
  }

  /** Runs its commands. */
  async run(): Promise<WorkReport> {
    const input = this.#process.stdin.getWriter();
    await input.write(new TextEncoder().encode("go\n"));
    await input.close();
    return JSON.parse(await this.#line());
  }

  /** Waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    assertEquals((await this.#lines.read()).done, true);
    assertEquals((await this.#process.status).code, 0);
  }

  async #line(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("The process has ended early");
      this.#text += value;
    }
    const [line = "", ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return line;
  }
}

/** Runs `processes` at once, when all of them are ready. */
export async function together(processes: readonly Worker[]): Promise<WorkReport[]> {
  await Promise.all(processes.map((process) => process.ready()));
  return await Promise.all(processes.map((process) => process.run()));
}
