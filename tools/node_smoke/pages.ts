/** Runs the `ts` blocks of the README and the guides on Node, as they stand. */
import { join } from "node:path";
import { mustRun } from "../command.ts";
import { ROOT } from "../root.ts";

/** What the blocks import beside the package and NATS. */
export const PAGE_PACKAGES = ["@hono/node-server", "@opentelemetry/api", "hono"];

/** Node 22 does not know the syntax; the pages say so. */
const NEW_SYNTAX = /^\s*await using /m;

/** Runs the files that it is given, one after the other; prints what failed. */
const RUNNER = `
import process from "node:process";
import "./docs_port.ts";

const failed: string[] = [];
for (const file of process.argv.slice(2)) {
  try {
    await import("./" + file);
  } catch (error) {
    failed.push(file + ": " + ((error as Error).stack ?? error));
  }
}
console.log("\\n" + JSON.stringify(failed));
process.exit();
`;

/** The blocks as programs, each by its file's name, and what runs them. */
export async function pagePrograms(): Promise<Record<string, string>> {
  const programs: Record<string, string> = {
    "pages.ts": RUNNER,
    "docs_port.ts": await Deno.readTextFile(join(ROOT, "tools", "docs_port.ts")),
  };
  for (const page of ["README.md", ...await pagesIn("docs"), ...await pagesIn("docs/guides")]) {
    const blocks = (await Deno.readTextFile(join(ROOT, page))).matchAll(/^```ts\n(.*?)^```$/gms);
    for (const [at, [, block = ""]] of [...blocks].entries()) {
      programs[`page.${page.replaceAll("/", ".")}.${at + 1}.ts`] = block;
    }
  }
  return programs;
}

async function pagesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(join(ROOT, folder))) {
    if (name.endsWith(".md")) names.push(`${folder}/${name}`);
  }
  return names.sort();
}

/** Runs the blocks in the folder `app` on one version of Node: those with new syntax on a new one. */
export async function runPages(
  node: string,
  app: string,
  programs: Readonly<Record<string, string>>,
  port: number,
): Promise<void> {
  const { stdout } = await mustRun(node, ["--version"]);
  const isNew = Number(/^v(\d+)/.exec(stdout)?.[1]) >= 24;
  const files = Object.keys(programs).filter((name) =>
    name.startsWith("page.") && isNew === NEW_SYNTAX.test(programs[name]!)
  );
  if (files.length < 5) throw new Error("Cannot find the blocks of the pages");
  const env = { NATS_DOCS_PORT: `${port}`, NODE_NO_WARNINGS: "1" };
  const signal = AbortSignal.timeout(300_000);
  const ran = await mustRun(node, ["pages.ts", ...files], { cwd: app, env, signal });
  const failed: string[] = JSON.parse(ran.stdout.trim().split("\n").at(-1) ?? "");
  if (failed.length === 0) return;
  throw new Error(`Node ${stdout.trim()}: blocks of the pages fail:\n${failed.join("\n")}`);
}
