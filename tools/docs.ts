/** Runs what the documentation shows: the examples in the code, the pages' blocks and their commands. */
import { join } from "node:path";
import { deno, run } from "./command.ts";
import { type Command, commandsOf, isSkipped } from "./readme.ts";
import { NatsServer } from "./nats_server.ts";
import { ROOT } from "./root.ts";
import { testCounts } from "./test_counts.ts";

/** The folders and files whose comments hold examples. */
const CODE = ["mod.ts", "store", "bus", "cluster", "adapters", "testing"];

/** The Markdown files whose `ts` blocks run. Blocks marked `ts ignore` do not. */
const PAGES = ["README.md", "CONTRIBUTING.md", "docs"];

/** Runs the examples in the comments of the public code; gives the output of `deno test`. */
export function codeExamples(): Promise<string> {
  return examples(CODE);
}

/** Runs the `ts` blocks of the Markdown pages; gives the output of `deno test`. */
export async function pageExamples(): Promise<string> {
  const output = await examples(PAGES);
  if (testCounts(output).passed === 0) {
    throw new Error(
      "Cannot find a `ts` block that runs in README.md: the quick start has to be one",
    );
  }
  return output;
}

async function examples(paths: readonly string[]): Promise<string> {
  const there: string[] = [];
  for (const path of paths) {
    if (await Deno.stat(join(ROOT, path)).then(() => true, () => false)) there.push(path);
  }
  if (there.length === 0) throw new Error(`Cannot find ${paths.join(", ")}: nothing to run`);
  await using server = await NatsServer.start();
  const preload = join(ROOT, "tools", "docs_port.ts");
  const { output } = await deno(["test", "-A", "--doc", "--preload", preload, ...there], {
    env: { NATS_DOCS_PORT: `${server.port}` },
  });
  return output;
}

/**
 * Runs the commands of the `sh` blocks of the README and the guides, each once, and compares the
 * `text` block behind one, if any.
 */
export async function pageCommands(): Promise<string> {
  const ran = new Set<string>();
  let total = 0;
  for (const page of ["README.md", ...await guides("docs")]) {
    for (const command of commandsOf(await Deno.readTextFile(join(ROOT, page)))) {
      total++;
      if (isSkipped(command)) continue;
      const loud = command.line.replace(/ -q\b/, ""); // quiet or not, it does the same
      if (ran.has(loud) && command.prints === undefined) continue;
      await check(page, command);
      ran.add(loud);
    }
  }
  if (ran.size === 0) throw new Error("Cannot find a command in README.md that can be run");
  return `${ran.size} of ${total} commands`;
}

/** The Markdown files in a folder, and in the folders in it. */
async function guides(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    if (isDirectory) found.push(...await guides(`${folder}/${name}`));
    else if (name.endsWith(".md")) found.push(`${folder}/${name}`);
  }
  return found.sort();
}

async function check(page: string, { line, prints }: Command): Promise<void> {
  const [program = "", ...args] = line.split(/\s+/);
  if (program !== "deno") {
    throw new Error(`Cannot check \`${line}\` of ${page}: not a deno command`);
  }
  // JSR_URL and NATS_SERVER are prepared again, as for a reader.
  const env = { JSR_URL: "", NATS_SERVER: "" };
  const { success, stdout, output } = await run(Deno.execPath(), args, { env });
  if (!success) throw new Error(`\`${line}\` of ${page} failed:\n${output}`);
  if (prints !== undefined && !stdout.includes(prints)) {
    throw new Error(`\`${line}\` does not print what ${page} shows:\n${output}`);
  }
}
