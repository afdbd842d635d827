/**
 * `deno task example NAME` runs an example of `examples/`, beside a nats-server of its own if it
 * takes one; without a name it lists them.
 */
import process from "node:process";
import { join } from "node:path";
import { NatsServer } from "../nats_server.ts";
import { ROOT } from "../root.ts";

/** Programs that another example starts. */
const PARTS = new Set(["cluster_node"]);
/** The README shows it as it stands, so it says nothing about itself. */
const SAID: Readonly<Record<string, string>> = {
  quick_start: "The quick start of the README; --nats runs it on a server",
};

/** What each example shows, by its name. */
export async function examples(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for await (const { name: file } of Deno.readDir(join(ROOT, "examples"))) {
    const name = file.replace(/\.ts$/, "");
    if (name === file || PARTS.has(name)) continue;
    found.set(name, SAID[name] ?? firstSentence(await sourceOf(name)));
  }
  return new Map([...found].sort(([one], [other]) => one < other ? -1 : 1));
}

function sourceOf(name: string): Promise<string> {
  return Deno.readTextFile(join(ROOT, "examples", `${name}.ts`));
}

/** The first sentence of the comment that a program begins with. */
function firstSentence(source: string): string {
  const [comment = ""] = /^(\/\*\*.*?\*\/|(\/\/[^\n]*\n)+)/s.exec(source) ?? [];
  const text = comment.replaceAll(/^\/\*\*|\*\/$|^ ?\*|^\/\//gm, "").replaceAll(/\s+/g, " ").trim();
  return text.split(/[.:] |\.$/)[0]!;
}

/** The list that is printed. */
async function list(): Promise<string> {
  const all = await examples();
  const width = Math.max(...[...all.keys()].map(({ length }) => length));
  return [
    ...[...all].map(([name, what]) => `${name.padEnd(width)}  ${what}`),
    `${"shop".padEnd(width)}  A whole application; run it by: deno task shop`,
  ].join("\n");
}

async function main([name]: readonly string[]): Promise<void> {
  if (name === undefined) return console.log(await list());
  if (!(await examples()).has(name)) {
    throw new RangeError(`Cannot run "${name}": the examples are\n${await list()}`);
  }
  const needsServer = (await sourceOf(name)).includes("NATS_URL");
  const server = needsServer ? await NatsServer.start() : undefined;
  try {
    if (server !== undefined) process.env.NATS_URL = server.url;
    await import(`../../examples/${name}.ts`);
  } finally {
    await server?.[Symbol.asyncDispose]();
  }
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
