/**
 * The command line: looks into a store, checks it, exports and imports events.
 *
 * ```sh
 * deno run -A jsr:@flowmade-one/aether/cli show order-7 --namespace shop
 * ```
 *
 * `--help` lists the verbs.
 *
 * @module
 */

import { realpathSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { outputFailure } from "./output.ts";
import { main } from "./run.ts";

export { ImportError, importEvents, type ImportOptions, type ImportResult } from "./import.ts";
export type { Sink, Sinks } from "./output.ts";
export { main, type MainOptions } from "./run.ts";

/** Whether this file is the program that runs; Node 22 does not say. */
function isProgram(): boolean {
  const { main, url } = import.meta as { readonly main?: boolean; readonly url: string };
  const [, program] = process.argv;
  return main ?? (program !== undefined && realpathSync(program) === fileURLToPath(url));
}

if (isProgram()) {
  const ending = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => ending.abort());
  process.stdout.on("error", (error) => {
    const told = outputFailure(error);
    if (told !== undefined) process.stderr.write(`${told}\n`);
    process.exit(told === undefined ? 0 : 1);
  });
  const code = await main(process.argv.slice(2), { signal: ending.signal });
  // A server that never answered, or an input that goes on, would hold the process.
  process.stdout.write("", () => process.exit(code));
}
