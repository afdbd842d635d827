/** Decides which test files run, and in which order. */
import { join, relative, resolve } from "node:path";
import { ROOT } from "../root.ts";

/**
 * The files that take longest, longest first: they wait for servers to notice what has happened to others. They
 * start before the rest, so that the run does not end with one of them alone.
 */
export const FIRST: readonly string[] = [
  "tests/cluster/chaos_test.ts",
  "tests/store/fencing/suite_test.ts",
  "tests/cluster/membership/discovery_fault_test.ts",
  "tests/cluster/election/chaos_test.ts",
  "tests/store/fencing/storm_test.ts",
  "tests/store/jetstream/event_store_test.ts",
  "tests/store/jetstream/cluster_test.ts",
  "tests/store/fencing/fault_test.ts",
  "tests/store/fencing/cluster_test.ts",
  "tests/store/faults/cluster_test.ts",
  "tests/store/read/subscribe_nodes_test.ts",
  "tests/store/read/subscribe_fault_test.ts",
  "tests/store/save/batch_cluster_test.ts",
  "tests/support/fixture_test.ts",
];

/** The files that cannot run beside others, each with the reason. They run after the rest, one by one. */
export const ALONE: ReadonlyMap<string, string> = new Map();

/** What the caller of the task wants. */
export interface Wish {
  /** Whether the output of every file is shown. */
  readonly verbose: boolean;
  /** Paths and words that select files or tests. */
  readonly words: readonly string[];
  /** What `deno test` is given. */
  readonly flags: readonly string[];
  /** Whether one `deno test` has to run, as a flag changes what it prints or when it ends. */
  readonly asIs: boolean;
}

/** The options of `deno test` whose value is the next argument. */
const WITH_VALUE = new Set(
  ("--filter --retry --repeats --shard --seed --reporter --related --preload --require --conditions " +
    "--import-map --cert --location --config -c --ext --coverage-threshold").split(" "),
);

/** The options that leave nothing to count. */
const AS_IS =
  /^(-h|--(help|watch|inspect|reporter|junit-path|doc|no-run|coverage|shard|changed|related))/;

/** Tells our own option, what selects tests, and the flags of `deno test` apart. A `--` before flags is dropped. */
export function parseArguments(args: readonly string[]): Wish {
  const words: string[] = [];
  const flags: string[] = [];
  let verbose = false;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--verbose") verbose = true;
    else if (arg === "--" || arg === "--parallel" || arg === "-A") continue; // it is so anyway
    else if (!arg.startsWith("-")) words.push(arg);
    else {
      flags.push(arg);
      if (WITH_VALUE.has(arg) && at + 1 < args.length) flags.push(args[++at]!);
    }
  }
  return { verbose, words, flags, asIs: flags.some((flag) => AS_IS.test(flag)) };
}

/** All test files, as `deno test` would find them, relative to the project's folder. */
export async function testFiles(folder: string = ROOT): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) {
      if (!name.startsWith(".") && name !== "node_modules") files.push(...await testFiles(path));
    } else if (/^(.*[._])?test\.[cm]?[jt]sx?$/.test(name)) {
      files.push(relative(ROOT, path).replaceAll("\\", "/"));
    }
  }
  return files.sort();
}

/** The files among `all` that the words mean, and the name of tests that one of them is. */
export async function select(
  words: readonly string[],
  all: readonly string[],
): Promise<{ readonly files: readonly string[]; readonly filter?: string }> {
  const files = new Set<string>();
  const names: string[] = [];
  for (const word of words) {
    const found = await at(word, all) ?? all.filter((file) => file.includes(word));
    if (found.length === 0) names.push(word);
    for (const file of found) files.add(file);
  }
  const [filter] = names;
  if (names.length > 1) {
    throw new RangeError(`Cannot find a test file by ${names.join(" nor by ")}`);
  }
  const chosen = files.size > 0 ? [...files] : all;
  return filter === undefined ? { files: chosen } : { files: chosen, filter };
}

/** The test files at a path, which counts from the caller's folder or the project's. */
async function at(path: string, all: readonly string[]): Promise<readonly string[] | undefined> {
  for (const folder of [Deno.env.get("INIT_CWD") ?? ROOT, ROOT]) {
    const found = resolve(folder, path);
    const stat = await Deno.stat(found).catch(() => undefined);
    const name = relative(ROOT, found).replaceAll("\\", "/");
    if (stat?.isFile) return [name];
    const below = all.filter((file) => name === "" || file.startsWith(`${name}/`));
    if (stat && below.length > 0) return below;
  }
  return undefined;
}

/** Splits files into those that run side by side, in the order in which they start, and those that follow alone. */
export function inOrder(
  files: readonly string[],
): { readonly together: readonly string[]; readonly alone: readonly string[] } {
  const rank = (file: string) => (FIRST.indexOf(file) + FIRST.length + 1) % (FIRST.length + 1);
  return {
    together: files.filter((file) => !ALONE.has(file)).sort((a, b) => rank(a) - rank(b)),
    alone: files.filter((file) => ALONE.has(file)),
  };
}
