import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";

/** Longest wait for a server to be ready, in ms. */
const TIMEOUT = 20_000;

/** The ports of a server. */
export interface Ports {
  /** For clients. */
  readonly client: number;
  /** For its monitoring. */
  readonly monitor: number;
}

/** Options for {@linkcode Server}. */
export interface ServerOptions {
  /** Its port for clients; 0 is any free one. @default {0} */
  readonly port?: number;
  /** Whether its folder stays when it ends. @default {false} */
  readonly keeps?: boolean;
}

/** One nats-server process with JetStream, in a folder of its own. */
export class Server {
  readonly #folder: string;
  readonly #port: number;
  readonly #keeps: boolean;
  readonly #log: string[] = [];
  #child: ChildProcess | undefined;
  #ports: Ports = { client: -1, monitor: -1 };
  readonly #end = Promise.withResolvers<void>();
  #cancelWatch: () => Promise<void> = () => Promise.resolve();

  /** Does nothing yet. */
  constructor(folder: string, { port = 0, keeps = false }: ServerOptions = {}) {
    this.#folder = folder;
    this.#port = port;
    this.#keeps = keeps;
  }

  /** Resolves when its process has ended, by itself or not; never before it was started. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** Its ports, when it is ready. */
  get ports(): Ports {
    return this.#ports;
  }

  /** Its log. */
  get log(): string {
    return this.#log.slice(-20).join("\n");
  }

  /** Starts it; resolves when it accepts clients. */
  async start(binary: string, config: string): Promise<void> {
    const file = join(this.#folder, "server.conf");
    const store = JSON.stringify(join(this.#folder, "data").replaceAll("\\", "/"));
    const lines = [
      `listen: "127.0.0.1:${this.#port || -1}"`,
      `http: "127.0.0.1:-1"`,
      `jetstream { store_dir: ${store} }`,
      config,
    ];
    await writeFile(file, lines.join("\n") + "\n");
    const child = spawn(binary, ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    child.on("error", reject);
    child.on("exit", () => this.#end.resolve());
    child.on("exit", () => reject(new Error(`Cannot start nats-server: it ended\n${this.log}`)));
    this.#follow(child, resolve);
    if (child.pid !== undefined) {
      this.#cancelWatch = watch(child.pid, this.#keeps ? undefined : this.#folder);
    }
    const late = () => reject(new Error(`Cannot start nats-server in ${TIMEOUT} ms\n${this.log}`));
    const timer = setTimeout(late, TIMEOUT);
    try {
      await ready;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks its monitoring; `undefined` while it does not answer. */
  async monitor<T>(path: string): Promise<T | undefined> {
    try {
      const url = `http://127.0.0.1:${this.#ports.monitor}${path}`;
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      return await response.json();
    } catch {
      return undefined;
    }
  }

  /** Ends the process, in good order if its data stay, and removes the folder otherwise. */
  async end(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const closed = once(child, "close");
      child.kill(this.#keeps ? "SIGTERM" : "SIGKILL");
      await closed;
    }
    await this.#cancelWatch();
    if (this.#keeps) return;
    // Windows keeps files for a moment after a process has ended.
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  #follow(child: ChildProcess, ready: () => void): void {
    let rest = "";
    child.stderr!.setEncoding("utf8");
    child.stderr!.on("data", (text: string) => {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop()!;
      for (const line of lines) {
        this.#log.push(line);
        if (this.#log.length > 1_000) this.#log.splice(0, 500);
        const client = portIn(line, /Listening for client connections on \S+:(\d+)/);
        const monitor = portIn(line, /Starting http monitor on \S+:(\d+)/);
        this.#ports = {
          client: client ?? this.#ports.client,
          monitor: monitor ?? this.#ports.monitor,
        };
        if (line.endsWith("Server is ready")) ready();
      }
    });
  }
}

function portIn(line: string, form: RegExp): number | undefined {
  const [, port] = form.exec(line) ?? [];
  return port === undefined ? undefined : Number(port);
}

/**
 * Ends process `pid`, and removes `folder` if there is one, when this process dies without doing so: a shell waits for
 * the end of its input, which comes even after a SIGKILL. The returned function cancels it, and
 * resolves when the shell has ended.
 */
function watch(pid: number, folder: string | undefined): () => Promise<void> {
  if (process.platform === "win32") return () => Promise.resolve();
  const remove = folder === undefined
    ? ":"
    : `for wait in 0 .1 .5 2; do sleep $wait; rm -rf "$2" && break; done`;
  const script = `trap "" INT TERM HUP; read -r _ || { kill -9 "$1"; ${remove}; }`;
  const shell = spawn("sh", ["-c", script, "watch", `${pid}`, folder ?? ""], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = new Promise<void>((resolve) => {
    shell.on("close", () => resolve());
    shell.on("error", () => resolve()); // There is no shell, and so no watch.
  });
  shell.stdin.on("error", () => {}); // It has ended.
  return async () => {
    shell.stdin.end("done\n");
    await ended;
  };
}
