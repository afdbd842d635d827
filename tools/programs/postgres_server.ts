/**
 * Starts a real PostgreSQL on 127.0.0.1 for tests.
 *
 * It has a free port and a folder of its own, and runs as an ordinary user; disposal ends its process by
 * id and removes the folder. Where there is a shell, a watchdog does the same when this process dies.
 *
 * @module
 */

import { join } from "node:path";
import type { PostgresPrograms } from "./postgres_binary.ts";
import { watchdog } from "../process.ts";

/** `nobody`: PostgreSQL refuses to run as root. */
const NOBODY = 65534;
/** Longest wait for it to be ready, in ms. */
const TIMEOUT = 30_000;

/** One PostgreSQL process. Killed or stopped, it can be started again on the same port and data. */
export class PostgresServer implements AsyncDisposable {
  /** Its port. */
  readonly port: number;
  readonly #programs: PostgresPrograms;
  readonly #folder: string;
  readonly #log: string[] = [];
  #process: Deno.ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(programs: PostgresPrograms, folder: string, port: number) {
    this.#programs = programs;
    this.#folder = folder;
    this.port = port;
  }

  /**
   * Starts one, on a copy of `data` if given, which {@linkcode PostgresServer.prepare} has made; resolves
   * when it accepts clients.
   */
  static async start(programs: PostgresPrograms, data?: string): Promise<PostgresServer> {
    for (let attempt = 1;; attempt++) {
      const server = new PostgresServer(programs, await newFolder(), freePort());
      try {
        await server.#fill(data);
        await server.start();
        return server;
      } catch (error) {
        await server[Symbol.asyncDispose]();
        const isTaken = /could not bind|Address already in use/.test(server.log());
        if (!isTaken || attempt === 5) throw error;
      }
    }
  }

  /** Makes a folder of data that servers can start on copies of; the caller removes it. */
  static async prepare(programs: PostgresPrograms): Promise<string> {
    const server = new PostgresServer(programs, await newFolder(), 0);
    try {
      await server.#fill();
      return server.#folder;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The address for clients: the user `postgres`, without a password. */
  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  /** All that it logged. */
  log(): string {
    return this.#log.join("\n");
  }

  /** Starts it again; resolves when it accepts clients. */
  async start(): Promise<void> {
    const settings = {
      port: this.port,
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      fsync: "off", // the machine does not die in a test
      max_connections: 50,
    };
    const child = this.#command("postgres", [
      "-D",
      join(this.#folder, "data"),
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ]).spawn();
    const release = watchdog(child.pid, this.#folder);
    this.#process = child;
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    this.#ended = (async () => {
      await Promise.all([this.#follow(child.stderr, resolve), child.status]);
      this.#process = undefined;
      await release();
      reject(new Error(`Cannot start PostgreSQL: it ended\n${this.log()}`));
    })();
    const timer = setTimeout(() => {
      reject(new Error(`Cannot start PostgreSQL in ${TIMEOUT} ms\n${this.log()}`));
    }, TIMEOUT);
    try {
      await ready;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it at once, connections too: `SIGQUIT` by default, which ends its children with it. */
  async kill(signal: Deno.Signal = "SIGQUIT"): Promise<void> {
    this.#signal(signal);
    const timer = setTimeout(() => this.#signal("SIGKILL"), 10_000);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Ends the process and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#process?.kill(signal);
    } catch {
      // It has ended by itself.
    }
  }

  async #fill(from?: string): Promise<void> {
    const data = join(this.#folder, "data");
    const setUp = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
    const command = from === undefined
      ? this.#command("initdb", ["-D", data, ...setUp])
      : this.#program("cp", ["-R", join(from, "data"), data]);
    const { success, stderr } = await command.output();
    if (!success) throw new Error(`Cannot make a database: ${new TextDecoder().decode(stderr)}`);
  }

  #command(program: string, args: readonly string[]): Deno.Command {
    return this.#program(join(this.#programs.folder, program), args);
  }

  #program(path: string, args: readonly string[]): Deno.Command {
    const { libraries } = this.#programs;
    return new Deno.Command(path, {
      args: [...args],
      cwd: this.#folder,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      env: { LC_ALL: "C", ...(libraries && { LD_LIBRARY_PATH: libraries }) },
      ...(isRoot() && { uid: NOBODY, gid: NOBODY }),
    });
  }

  async #follow(stderr: ReadableStream<Uint8Array>, ready: () => void): Promise<void> {
    const lines = stderr.pipeThrough(new TextDecoderStream());
    for await (const text of lines) {
      this.#log.push(...text.trimEnd().split("\n"));
      if (text.includes("ready to accept connections")) ready();
    }
  }
}

async function newFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "aether-postgres-" });
  if (isRoot()) await Deno.chown(folder, NOBODY, NOBODY);
  return folder;
}

function isRoot(): boolean {
  return Deno.build.os !== "windows" && Deno.uid() === 0;
}

/** A port of 127.0.0.1 that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
