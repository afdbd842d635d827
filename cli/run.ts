import { pathToFileURL } from "node:url";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Connection } from "../store/connection.ts";
import { encodeNamespace } from "../store/format/layout.ts";
import type { JetStreamEventStore } from "../store/mod.ts";
import { SCOPE_VERSION } from "../store/telemetry/scope.ts";
import { connectAs } from "./connection.ts";
import { COMMON, helpOf, overview } from "./help.ts";
import { openStore } from "./open_store.ts";
import { Output, safe, type Sinks } from "./output.ts";
import { type App, UsageError, type Values, type Verb, type VerbContext } from "./verb.ts";
import { VERBS } from "./verbs.ts";

export { ImportError, importEvents, type ImportOptions, type ImportResult } from "./import.ts";
export type { Sink, Sinks } from "./output.ts";

/** How long a verb may wait for the server after Ctrl-C, in ms. */
const GRACE = 1_000;

/** Options for {@linkcode main}. */
export interface MainOptions {
  /** Where it prints. @default {the process's outputs} */
  readonly sinks?: Sinks;
  /** Ends what is under way. @default {Ctrl-C} */
  readonly signal?: AbortSignal;
}

/**
 * Runs one verb.
 *
 * @param args The words behind the program's name.
 * @returns The exit code: 0 if all is well, 1 if it failed or found a problem, 2 if the words make no
 * sense.
 */
export async function main(args: readonly string[], options: MainOptions = {}): Promise<number> {
  const isJson = args.includes("--json");
  const output = new Output(isJson, options.sinks);
  try {
    return await run(args, output, options.signal ?? new AbortController().signal);
  } catch (error) {
    if (options.signal?.aborted) return 130;
    const lines = messageFor(error).split("\n");
    output.error(output.red(lines.map(safe).join("\n")));
    if (!(error instanceof UsageError)) return 1;
    output.error("`aether --help` shows what there is");
    return 2;
  }
}

/** What went wrong, for people; what the system says of a file comes in our order. */
function messageFor(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [, reason, act, file] = /^E[A-Z]+: (.+), (\w+)(?: '(.*)')?$/.exec(message) ?? [];
  return reason === undefined ? message : `Cannot ${act} ${file ?? "the file"}: ${reason}`;
}

async function run(
  args: readonly string[],
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const [name = "--help", ...rest] = args;
  const [about] = name === "help" ? rest : [];
  if (about !== undefined) {
    output.raw(helpOf(about, verbOf(about)));
    return 0;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    output.raw(overview(VERBS));
    return 0;
  }
  if (name === "--version") {
    output.raw(`aether ${SCOPE_VERSION}\n`);
    return 0;
  }
  const verb = verbOf(name);
  if (rest.includes("--help") || rest.includes("-h")) {
    output.raw(helpOf(name, verb));
    return 0;
  }
  const { values, words } = parse(name, verb, rest);
  let connection: Connection | undefined;
  let store: JetStreamEventStore | undefined;
  const { lasts = false } = verb;
  const tell = (line: string) => output.error(line);
  const connect = async () => connection ??= await connectAs(values, { lasts, signal, tell });
  const namespace = namespaceIn(values.namespace);
  const app = await appOf(values.app);
  const context: VerbContext = {
    ...{ words, values, output, signal, namespace, app, connect },
    open: async () =>
      store ??= await openStore(await connect(), namespace, app, values.create === true),
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hurry = () => timer = setTimeout(() => connection?.close(), GRACE);
  signal.addEventListener("abort", hurry, { once: true });
  try {
    return await verb.run(context);
  } finally {
    await store?.[Symbol.asyncDispose]();
    await connection?.close();
    signal.removeEventListener("abort", hurry);
    clearTimeout(timer);
  }
}

function verbOf(name: string): Verb {
  if (Object.hasOwn(VERBS, name)) return VERBS[name]!;
  if (name.startsWith("-")) throw new UsageError(`Put the verb before "${safe(name)}"`);
  throw new UsageError(`There is no verb "${safe(name)}"`);
}

function parse(name: string, verb: Verb, args: readonly string[]) {
  let parsed: { values: Values; positionals: string[] };
  try {
    parsed = parseArgs({
      ...{ args: [...args], allowPositionals: true, strict: true },
      options: { ...COMMON, ...verb.options },
    }) as never;
  } catch (cause) {
    throw new UsageError(`aether ${name}: ${(cause as Error).message.split("\n")[0]}`, { cause });
  }
  const { values, positionals: words } = parsed;
  const [least, most] = verb.words;
  if (words.length < least || words.length > most) {
    throw new UsageError(`aether ${name} takes: ${verb.usage || "no words"}`);
  }
  return { values, words };
}

function namespaceIn(value: Values[string]): string {
  const namespace = String(value ?? "default");
  try {
    encodeNamespace(namespace);
  } catch (cause) {
    throw new UsageError(`--namespace: ${(cause as Error).message}`, { cause });
  }
  return namespace;
}

/** The exports of the user's module. */
async function appOf(path: string | boolean | undefined): Promise<App> {
  if (typeof path !== "string") return {};
  try {
    return await import(pathToFileURL(resolve(path)).href) as App;
  } catch (cause) {
    throw new UsageError(`Cannot load --app ${path}: ${(cause as Error).message}`, { cause });
  }
}
