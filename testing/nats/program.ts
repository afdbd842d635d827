import { spawn } from "node:child_process";
import process from "node:process";

/** The result of a program. */
export interface ProgramResult {
  /** Whether it ended well. */
  readonly success: boolean;
  /** Its output. */
  readonly stdout: string;
  /** Its errors. */
  readonly stderr: string;
}

/** Runs a program to its end without input; rejects with the system's error if it does not run. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { cwd, env }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<ProgramResult> {
  const { promise, resolve, reject } = Promise.withResolvers<ProgramResult>();
  const child = spawn(program, [...args], {
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8");
    child[name].on("data", (text: string) => void (texts[name] += text));
  }
  child.on("error", reject);
  child.on("close", (code) => resolve({ success: code === 0, ...texts }));
  return await promise;
}

/** Whether an error of the system says that there is no such file or program. */
export function isNotFound(error: unknown): boolean {
  return (error as { readonly code?: unknown } | undefined)?.code === "ENOENT";
}

/** This machine's processor, as caches and releases of Deno and Rust name it. */
export const ARCH: string = process.arch === "arm64"
  ? "aarch64"
  : process.arch === "x64"
  ? "x86_64"
  : process.arch;
