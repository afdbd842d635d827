/** Bundles a program of a folder where the package is installed. */
import { join } from "node:path";
import { mustRun } from "../command.ts";

/** Bundles `code`, which is beside the programs of the folder `app`; gives the path of `name`. */
export async function bundle(
  app: string,
  name: string,
  code: string,
  options: readonly string[] = [],
): Promise<string> {
  const source = join(app, `${name}.source.ts`);
  const target = join(app, name);
  await Deno.writeTextFile(source, code);
  await mustRun(join(app, "node_modules", ".bin", "esbuild"), [
    ...[source, "--bundle", "--format=esm", "--platform=browser", "--log-level=warning"],
    ...[`--outfile=${target}`, ...options],
  ], { cwd: app });
  return target;
}
