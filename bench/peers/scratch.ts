/** Folders for what the project never depends on. */
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { mustRun, run } from "../../tools/command.ts";

/** A folder that is removed in the end, with packages of npm in folders of their own. */
export class Scratch implements AsyncDisposable {
  /** Where it is. */
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes one. */
  static async make(): Promise<Scratch> {
    return new Scratch(await Deno.makeTempDir({ prefix: "aether-peers-" }));
  }

  /**
   * Installs packages by npm into a folder of their own; gives a function that loads them. Packages
   * may look for the `package.json` of the folder that they are loaded in.
   */
  // deno-lint-ignore no-explicit-any -- what a package exports is its own
  async install(name: string, packages: readonly string[]): Promise<(name: string) => any> {
    const folder = join(this.folder, name);
    await Deno.mkdir(folder);
    const own = join(folder, "package.json");
    await Deno.writeTextFile(own, JSON.stringify({ name, version: "0.0.0", private: true }));
    const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
    await mustRun("npm", ["install", ...quiet, ...packages], { cwd: folder });
    const require = createRequire(own);
    return (it) => {
      const before = Deno.cwd();
      Deno.chdir(folder);
      try {
        return require(it);
      } finally {
        Deno.chdir(before);
        // Some end the process when anything in it is rejected.
        for (const event of ["uncaughtException", "unhandledRejection"]) {
          process.removeAllListeners(event);
        }
      }
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A PostgreSQL of its own, with the configuration that it comes with. */
export class Postgres implements AsyncDisposable {
  /** Where clients connect to. */
  readonly port: number;
  readonly #folder: string;
  readonly #bin: string;
  readonly #as: readonly string[];

  private constructor(folder: string, bin: string, port: number, as: readonly string[]) {
    this.#folder = folder;
    this.#bin = bin;
    this.port = port;
    this.#as = as;
  }

  /** Starts the newest one that Debian has installed. */
  static async start(scratch: Scratch): Promise<Postgres> {
    const root = "/usr/lib/postgresql";
    const versions = Array.from(Deno.readDirSync(root), ({ name }) => name);
    const version = versions.sort((one, other) => Number(other) - Number(one))[0]!;
    const bin = join(root, version, "bin");
    const folder = join(scratch.folder, "postgres");
    await Deno.mkdir(folder);
    // It refuses to run as root.
    const as = Deno.uid() === 0 ? ["runuser", "-u", "postgres", "--"] : [];
    if (as.length > 0) {
      await mustRun("chmod", ["755", scratch.folder]);
      await mustRun("chown", ["postgres", folder]);
    }
    using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const { port } = listener.addr;
    listener.close();
    const postgres = new Postgres(folder, bin, port, as);
    const data = join(folder, "data");
    await postgres.#run("initdb", ["-D", data, "-U", "postgres", "-A", "trust"]);
    const options = `-p ${port} -h 127.0.0.1 -k ${folder}`;
    const log = join(folder, "log");
    // Also if something that a peer has left behind ends the process.
    globalThis.addEventListener("unload", () => {
      const [program, args] = postgres.#stop();
      new Deno.Command(program, { args, stdout: "null", stderr: "null" }).outputSync();
    });
    await postgres.#run("pg_ctl", ["-D", data, "-o", options, "-l", log, "-w", "start"]);
    return postgres;
  }

  #run(program: string, args: readonly string[]) {
    const [first = "", ...rest] = [...this.#as, join(this.#bin, program), ...args];
    return mustRun(first, rest, { cwd: this.#folder });
  }

  #stop(): [program: string, args: string[]] {
    const args = ["-D", join(this.#folder, "data"), "-m", "immediate", "stop"];
    const [first = "", ...rest] = [...this.#as, join(this.#bin, "pg_ctl"), ...args];
    return [first, rest];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const [program, args] = this.#stop();
    await run(program, args, { cwd: this.#folder });
  }
}
