/** Runs programs for the gate: output kept, so that only what failed is shown. */
import { ROOT } from "./root.ts";

/** The result of a program. */
export interface Outcome {
  /** Whether it ended well. */
  readonly success: boolean;
  /** Its standard output. */
  readonly stdout: string;
  /** Both of its outputs, standard output first. */
  readonly output: string;
}

/** Options for {@linkcode run}. */
export interface RunOptions {
  /** The folder to run in. @default {ROOT} */
  readonly cwd?: string;
  /** Variables set on top of ours; an empty one counts as unset for the tools here. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the program. */
  readonly signal?: AbortSignal;
}

/** Runs a program to its end without input. */
export async function run(
  program: string,
  args: readonly string[],
  { cwd = ROOT, env = {}, signal }: RunOptions = {},
): Promise<Outcome> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", INIT_CWD: cwd, ...env },
    stdin: "null",
    ...(signal && { signal }),
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  const output = `${out}${err}`.replace(/^(Check|Download) .*\n/gm, "").trim(); // progress, no outcome
  return { success, stdout: out ?? "", output };
}

/** Runs a program and throws, with its output, if it did not end well. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const outcome = await run(program, args, options);
  if (!outcome.success) {
    throw new Error(`\`${program} ${args.join(" ")}\` failed:\n${outcome.output}`);
  }
  return outcome;
}

/** Runs this very Deno. */
export function deno(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return mustRun(Deno.execPath(), args, options);
}
