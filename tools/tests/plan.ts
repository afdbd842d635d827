/** Decides which test files run, and in which order. */
import { dirname, join, relative, resolve } from "node:path";
import { ROOT } from "../root.ts";

/**
 * The files that take longest: they wait for servers to notice what has happened to others, or for hooks that
 * never answer. They start before the rest, so that the run does not end with one of them alone.
 */
export const FIRST: readonly string[] = [
  "tests/store/fencing/suite_test.ts",
  "tests/cluster/chaos_test.ts",
  "tests/user_code/hooks_test.ts",
  "tests/store/jetstream/event_store_test.ts",
  "tests/adapters/postgres_test.ts",
  "tests/cluster/election/chaos_test.ts",
  "tests/store/jetstream/cluster_test.ts",
  "tests/chaos/storm/storm_test.ts",
  "tests/cluster/membership/discovery_fault_test.ts",
  "tests/chaos/leaks/leaks_test.ts",
  "tests/store/fencing/cluster_test.ts",
  "tests/cluster/election/removed_test.ts",
  "tests/store/fencing/storm_test.ts",
  "tests/store/fencing/fault_test.ts",
  "tests/cluster/membership/discovery_cluster_test.ts",
  "tests/store/read/stream_check_test.ts",
  "tests/store/projection/idle_test.ts",
  "tests/cluster/damaged_test.ts",
  "tests/store/projection/fault_test.ts",
  "tests/cluster/election/lease_test.ts",
  "tests/store/format/random_commits_test.ts",
  "tests/tools/tests_test.ts",
  "tests/support/fixture_test.ts",
  "tests/user_code/cluster_test.ts",
  "tests/testing/faulty_connection_test.ts",
  "tests/cli/outage_test.ts",
];

/**
 * The files that fail on a machine with too much to do, each with what they bound in time. They run after the rest,
 * the longest first, no more of them at once than there are cores.
 */
export const CALM: ReadonlyMap<string, string> = new Map([
  ["tests/inspector/page_test.ts", "the second in which a page shows what has changed"],
  ["tests/store/faults/cluster_test.ts", "the answer of a leader that comes back"],
  ["tests/store/save/batch_fault_test.ts", "500 saves whose acknowledgements are lost"],
  ["tests/store/command/execute_contention_test.ts", "a request during contention"],
  ["tests/store/save/batch_group_test.ts", "a save whose outcome has to be known"],
  ["tests/store/read/reads_test.ts", "a read that has to do with few requests"],
  ["tests/store/nats/bulk_consumer_test.ts", "the first answers of a long read"],
  ["tests/store/signal_test.ts", "60 saves under way at once"],
  ["tests/store/save/batch_full_test.ts", "many saves that race"],
]);

/** The run that the caller of the task wants. */
export interface TestRequest {
  /** Whether the output of every file is shown. */
  readonly verbose: boolean;
  /** Paths and words that select files or tests. */
  readonly words: readonly string[];
  /** The flags that `deno test` gets. */
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

/**
 * Tells our own option, the words that select tests, and the flags of `deno test` apart. A `--`
 * before flags is dropped.
 */
export function parseArguments(args: readonly string[]): TestRequest {
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

/** The files among `all` that the words mean, and the part of a test's name that one of them may be. */
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
  if (filter === undefined) return { files: chosen };
  return { files: files.size > 0 ? chosen : await mentioning(filter, all), filter };
}

/**
 * The files that may have a test whose name holds `name`, as they, or the tests and suites that
 * they import, hold its words; names are put together at run time, so the whole name may be
 * nowhere.
 */
async function mentioning(name: string, all: readonly string[]): Promise<readonly string[]> {
  const words = name.match(/[A-Za-z]{3,}/g) ?? [];
  const sources = new Map<string, Promise<{ text: string; imports: string[] }>>();
  const read = async (path: string): Promise<{ text: string; imports: string[] }> => {
    const text = await Deno.readTextFile(path).catch(() => "");
    const imports = [...text.matchAll(/(?:from|import) "(\.[^"]+)"/g)]
      .map(([, to = ""]) => resolve(dirname(path), to))
      .filter((to) => /^(tests|testing)$/.test(relative(ROOT, to).split(/[/\\]/)[0]!));
    return { text, imports };
  };
  const found = await Promise.all(all.map(async (file) => {
    const paths = new Set([join(ROOT, file)]);
    const missing = new Set(words);
    for (const path of paths) { // grows on the way
      if (!sources.has(path)) sources.set(path, read(path));
      const { text, imports } = await sources.get(path)!;
      for (const word of missing) if (text.includes(word)) missing.delete(word);
      for (const to of imports) paths.add(to);
    }
    return missing.size === 0;
  }));
  return all.filter((_, at) => found[at]);
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

/** Splits files into those that run side by side, in the order in which they start, and those that follow in calm. */
export function inOrder(
  files: readonly string[],
): { readonly together: readonly string[]; readonly calm: readonly string[] } {
  const by = (order: readonly string[]) => {
    const rank = (file: string) => (order.indexOf(file) + order.length + 1) % (order.length + 1);
    return (a: string, b: string) => rank(a) - rank(b);
  };
  return {
    together: files.filter((file) => !CALM.has(file)).sort(by(FIRST)),
    calm: files.filter((file) => CALM.has(file)).sort(by([...CALM.keys()])),
  };
}
