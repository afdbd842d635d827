/**
 * `deno run -A --no-config tools/prepare.ts [options] <deno arguments>` runs `deno <deno arguments>` with
 * everything in place: the dependencies (from JSR, or from its twin where JSR is out of reach), a nats-server
 * in `NATS_SERVER`, and this project's `--config` unless another one is given.
 *
 * It runs in the folder in which `deno task` was called, so that relative paths mean what the caller meant.
 *
 * Options, which come first:
 *   --root              run in the project's folder instead
 *   --no-server         bring no nats-server
 *   --server-if=ARG     bring a nats-server only if ARG is among the arguments
 *
 * This file and its imports use nothing but Deno and `node:`, so that they run before anything is
 * there.
 */
import process from "node:process";
import { join } from "node:path";
import { jsrUrl } from "./jsr.ts";
import { findNatsServer } from "../testing/nats/binary.ts";
import { ROOT } from "./root.ts";

/** The subcommands that read a config file; the others are passed on as they are. */
const WITH_CONFIG = new Set(
  ("add bench bundle cache check compile coverage doc eval fmt info install jupyter lint outdated pack " +
    "publish repl run serve task test").split(" "),
);

/** The subcommands that run the user's code, which may want a server. */
const WITH_SERVER = new Set(["bench", "eval", "repl", "run", "serve", "task", "test"]);

/** Adds the project's config to Deno's arguments, unless they name one or take none. */
export function withConfig(args: readonly string[], config: string): string[] {
  const [command = "", ...rest] = args;
  if (!WITH_CONFIG.has(command)) return [...args];
  const own = ownArguments(command, rest).some((arg) =>
    /^(--config(=|$)|--no-config$|-c(=|$))/.test(arg)
  );
  return own ? [...args] : [command, "--config", config, ...rest];
}

/** Those of a subcommand's arguments that are Deno's, not the script's. */
function ownArguments(command: string, args: readonly string[]): readonly string[] {
  const end = ["run", "serve", "task", "eval"].includes(command)
    ? args.findIndex((arg) => !/^-.|\.jsonc?$/.test(arg)) // a JSON file is some option's value
    : args.indexOf("--");
  return end < 0 ? args : args.slice(0, end);
}

async function main(args: string[]): Promise<number> {
  let cwd = Deno.env.get("INIT_CWD") ?? Deno.cwd();
  let needsServer = (rest: readonly string[]) => WITH_SERVER.has(rest[0] ?? "");
  for (; args[0]?.startsWith("--"); args.shift()) {
    const [option, value = ""] = args[0].split("=", 2);
    if (option === "--root") cwd = ROOT;
    else if (option === "--no-server") needsServer = () => false;
    else if (option === "--server-if") needsServer = (rest) => rest.includes(value);
    else break;
  }
  const env: Record<string, string> = {};
  const jsr = await jsrUrl();
  if (jsr) env.JSR_URL = jsr;
  if (needsServer(args)) env.NATS_SERVER = await server();
  return await run(withConfig(args, join(ROOT, "deno.json")), cwd, env);
}

async function server(): Promise<string> {
  try {
    return await findNatsServer();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${reason}\nWhat needs none runs by: deno task deno --no-server run SCRIPT`);
  }
}

/** Runs Deno in our place: its input, output, signals and exit code are ours. */
async function run(args: string[], cwd: string, env: Record<string, string>): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  const listeners = signals.map((signal) => {
    const listener = () => {
      // A terminal sends Ctrl-C to the child as well; a second one would end it before it has cleaned up.
      if (signal === "SIGINT" && Deno.stdin.isTerminal()) return;
      try {
        child.kill(signal);
      } catch {
        // it has ended by itself meanwhile
      }
    };
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  const { code } = await child.status;
  for (const remove of listeners) remove();
  return code;
}

if (import.meta.main) {
  try {
    process.exitCode = await main([...Deno.args]);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
