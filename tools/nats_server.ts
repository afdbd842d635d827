/**
 * Starts real nats-servers on 127.0.0.1, one or a cluster, for tests, benches, the demo and the examples.
 *
 * A server has free ports and a folder of its own; disposal ends its process by id and removes the
 * folder. If there is a shell, a watchdog does the same when this process dies without disposing.
 *
 * @module
 */

import { isStopped, watchdog } from "./process.ts";

/** Options for {@linkcode NatsServer.start}. */
export interface NatsServerOptions {
  /** Path of the nats-server binary. @default {the environment's `NATS_SERVER`} */
  readonly binary?: string;
  /** Whether JetStream is on. @default {true} */
  readonly jetstream?: boolean;
  /** The domain of its JetStream. @default {none} */
  readonly domain?: string;
  /** When JetStream syncs to disk: `"always"` before each ack, else at the server's own interval. @default {"default"} */
  readonly sync?: "always" | "default";
  /** Folder of JetStream's data, kept on disposal. @default {a temporary one, removed on disposal} */
  readonly storeDir?: string;
  /** The server's name, unique in a cluster. @default {a name that the server makes up} */
  readonly name?: string;
  /** More of the `jetstream` block, for example `limits { … }`. @default {""} */
  readonly jetstreamConfig?: string;
  /** More configuration, in nats-server's own syntax, for example an `authorization` block. @default {""} */
  readonly config?: string;
  /** Longest wait for the server to be ready, in ms. @default {10_000} */
  readonly timeout?: number;
}

/** Thrown when a nats-server does not start; the message ends with its log's tail. */
export class NatsServerError extends Error {
  /** Whether a port that the server was to use is taken. */
  readonly addressInUse: boolean;

  /** Keeps the reason, and the server's log until then. */
  constructor(reason: string, log = "", options?: ErrorOptions) {
    super(log === "" ? reason : `${reason}\n${log}`, options);
    this.name = "NatsServerError";
    this.addressInUse = /address already in use|only one usage of each socket/i.test(log);
  }
}

/** One nats-server process. Killed or stopped, it can be started again on the same port and data. */
export class NatsServer implements AsyncDisposable {
  readonly #options: NatsServerOptions;
  readonly #binary: string;
  readonly #folder: string;
  readonly #log: string[] = [];
  #port = -1;
  #monitorPort = -1;
  #process: Deno.ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #paused = false;
  #name = "";

  private constructor(options: NatsServerOptions, binary: string, folder: string) {
    this.#options = options;
    this.#binary = binary;
    this.#folder = folder;
  }

  /** Starts a server; resolves when it accepts clients. */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const binary = options.binary ?? Deno.env.get("NATS_SERVER");
    if (!binary) {
      throw new NatsServerError("Cannot start nats-server: NATS_SERVER does not name its binary");
    }
    const folder = await Deno.makeTempDir({ prefix: "aether-nats-" });
    const server = new NatsServer(options, binary, folder);
    try {
      await server.#launch();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** The address for clients. */
  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  /** The port for clients, the same over restarts. */
  get port(): number {
    return this.#port;
  }

  /** The server's name as it logged it. */
  get name(): string {
    return this.#name;
  }

  /** The process's id, or undefined while the server is down. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Whether the process is there; a paused one is. */
  get running(): boolean {
    return this.#process !== undefined;
  }

  /** Whether the process is stopped by {@linkcode NatsServer.pause}. */
  get paused(): boolean {
    return this.#paused;
  }

  /** The last lines that the server logged, over all its restarts. */
  log(lines = 200): string {
    return this.#log.slice(-lines).join("\n");
  }

  /** Ends the process by `signal`, at once by default; resolves when it is gone. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    this.#signal(signal);
    if (signal !== "SIGKILL") this.resume();
    await this.#ended;
  }

  /** Ends the server gracefully; one that takes more than 10 s is killed. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#signal("SIGKILL"), 10_000);
    try {
      await this.kill("SIGTERM");
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Starts the server again on the same data and the same port for clients; one that still runs is stopped
   * first.
   */
  async restart(): Promise<void> {
    await this.stop();
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#launch();
      } catch (error) {
        // The old port may be a passing client's own for a moment.
        if (attempt === 20 || !(error instanceof NatsServerError && error.addressInUse)) {
          throw error;
        }
        // Somebody else may have the port of the monitoring by now; nobody but us knows the old one.
        if (/monitor port/.test(error.message)) this.#monitorPort = -1;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Freezes the process: it keeps its connections and answers nothing once this resolves. Not on Windows. */
  async pause(): Promise<void> {
    if (this.#paused || !this.#process) return;
    const { pid } = this.#process;
    this.#signal("SIGSTOP");
    this.#paused = true;
    // The signal is only sent by then: a thread on another core still runs for a moment.
    while (this.#paused && this.running && !await isStopped(pid)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Lets a paused process run on. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#signal("SIGCONT");
  }

  /** Reads the monitoring endpoint at `path`, for example `/jsz?streams=true`; rejects when there is no answer in 10 s. */
  async monitor<T = Record<string, unknown>>(path: string): Promise<T> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error(`No answer to ${path}`)), 10_000);
    try {
      const response = await fetch(`http://127.0.0.1:${this.#monitorPort}${path}`, {
        signal: abort.signal,
      });
      return await response.json();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the process, paused or not, and removes the server's folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#process?.kill(signal);
    } catch (error) {
      // Deno's answer for a process that has ended by itself.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #config(): string {
    const { jetstream = true, domain, sync, storeDir = `${this.#folder}/data`, name, config } =
      this.#options;
    const { jetstreamConfig = "" } = this.#options;
    const lines = [`listen: "127.0.0.1:${this.#port}"`, `http: "127.0.0.1:${this.#monitorPort}"`];
    if (name !== undefined) lines.push(`server_name: ${JSON.stringify(name)}`);
    if (jetstream) {
      const folder = JSON.stringify(storeDir.replaceAll("\\", "/"));
      const interval = sync === "always" ? ", sync_interval: always" : "";
      const own = domain === undefined ? "" : `, domain: ${JSON.stringify(domain)}`;
      lines.push(`jetstream { store_dir: ${folder}${interval}${own}\n${jetstreamConfig} }`);
    }
    if (config !== undefined) lines.push(config);
    return lines.join("\n") + "\n";
  }

  async #launch(): Promise<void> {
    const file = `${this.#folder}/server.conf`;
    await Deno.writeTextFile(file, this.#config());
    let process: Deno.ChildProcess;
    try {
      process = new Deno.Command(this.#binary, {
        args: ["-c", file],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
    } catch (cause) {
      throw new NatsServerError(`Cannot start nats-server: "${this.#binary}" does not run`, "", {
        cause,
      });
    }
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const release = watchdog(process.pid, this.#folder);
    const from = this.#log.length;
    this.#process = process;
    this.#paused = false;
    this.#ended = (async (): Promise<void> => {
      await Promise.all([this.#follow(process.stderr, resolve), process.status]);
      this.#process = undefined;
      this.#paused = false;
      await release();
      reject(
        new NatsServerError("Cannot start nats-server: it ended", this.#log.slice(from).join("\n")),
      );
    })();
    const { timeout = 10_000 } = this.#options;
    const timer = setTimeout(() => {
      reject(new NatsServerError(`Cannot start nats-server in ${timeout} ms`, this.log(20)));
      this.#signal("SIGKILL");
    }, timeout);
    try {
      await ready;
    } catch (error) {
      await this.#ended;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #follow(stderr: ReadableStream<Uint8Array>, ready: () => void): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stderr) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
      rest = lines.pop()!;
      for (const line of lines) {
        this.#log.push(line);
        this.#port = Number(
          /Listening for client connections on \S+:(\d+)/.exec(line)?.[1] ?? this.#port,
        );
        this.#monitorPort = Number(
          /Starting http monitor on \S+:(\d+)/.exec(line)?.[1] ?? this.#monitorPort,
        );
        this.#name = /Name: {2,}(\S+)$/.exec(line)?.[1] ?? this.#name;
        if (line.endsWith("Server is ready")) ready();
      }
    }
    if (rest !== "") this.#log.push(rest);
  }
}
