import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { DiscoveryOptions } from "../cluster/discovery_options.ts";
import { isStopped } from "../tools/process.ts";

/** A node in a process of its own; see `discovery_worker.ts`. */
export class NodeProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #text = "";

  /** Starts it; it connects by `connecting` and joins by `options`. */
  constructor(
    urls: readonly string[],
    options: DiscoveryOptions,
    connecting: NodeConnectionOptions = {},
  ) {
    const script = new URL("discovery_worker.ts", import.meta.url);
    const config = new URL("../deno.json", import.meta.url);
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--config", config.pathname, script.pathname],
        ...[urls.join(), JSON.stringify(options), JSON.stringify(connecting)],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Resolves when it has joined, for the first time or once more, with its incarnation. */
  async joined(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("The process has ended early");
      this.#text += value;
    }
    const [line = "", ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return line;
  }

  /** Ends it without a chance to say a word. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }

  /** Stops it; resolves when nothing of it runs any more. */
  async freeze(): Promise<void> {
    this.#process.kill("SIGSTOP");
    while (!await isStopped(this.#process.pid)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Lets it run on. */
  thaw(): void {
    this.#process.kill("SIGCONT");
  }

  /** Has it leave, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close().catch(() => {}); // Killed by the test.
    await this.#process.status;
    await this.#lines.cancel();
  }
}
