/** Reads what `deno test` says of one file. */

/** The outcome of the tests of one file. */
export interface FileResult {
  /** The file, or what else ran. */
  readonly file: string;
  readonly passed: number;
  /** Failed tests; one where the file failed without, as it did not compile or was killed. */
  readonly failed: number;
  /** The reasons of the ignored tests, one for each. */
  readonly ignored: readonly string[];
  /** All that was printed. */
  readonly output: string;
  /** How long it took, in ms. */
  readonly ms: number;
}

/** The reason of an ignored test whose name does not end with one in brackets. */
export const NO_REASON = "no reason given";

/**
 * Counts the tests in a JUnit report of `deno test`. Steps belong to their tests. The report takes tests that
 * `--filter` left out for ignored ones, and the printed output does not name them.
 */
export function readJunit(
  xml: string,
  output: string,
): Pick<FileResult, "passed" | "failed" | "ignored"> {
  let [passed, failed] = [0, 0];
  const ignored: string[] = [];
  const names = new Set<string>();
  for (const [, attributes = "", body = ""] of xml.matchAll(TEST_CASE)) {
    const name = unescape(/(?:^| )name="([^"]*)"/.exec(attributes)?.[1] ?? "");
    if (isStep(name, names)) continue;
    names.add(name);
    if (/<(failure|error)\b/.test(body)) failed++;
    else if (!/<skipped\b/.test(body)) passed++;
    else if (output.includes(`${name} ... ignored`)) {
      ignored.push(/ \(([^()]+)\)$/.exec(name)?.[1] ?? NO_REASON);
    }
  }
  return { passed, failed, ignored };
}

const TEST_CASE = /<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs;

/** Whether a name is `test > step`; the report has the test before its steps. */
function isStep(name: string, tests: ReadonlySet<string>): boolean {
  for (let at = name.indexOf(" > "); at >= 0; at = name.indexOf(" > ", at + 1)) {
    if (tests.has(name.slice(0, at))) return true;
  }
  return false;
}

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
};

function unescape(text: string): string {
  return text.replace(/&(\w+);/g, (all, name) => ENTITIES[name] ?? all);
}

/** Adds up reasons: `16 there is one node only; 5 AETHER_LONG is not set`, the most frequent one first. */
export function reasons(ignored: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of ignored) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([reason, count]) =>
    `${count} ${reason}`
  )
    .join("; ");
}

/** Leaves out of an output the lines of tests that did not fail. */
export function failuresOf(output: string): string {
  return output.replace(/^.* \.\.\. (ok|ignored) \(\S+\)\n/gm, "")
    .replace(/^error: Test failed\n+Stack backtrace:\n( +\d+: .*\n?)*/gm, "").trim();
}
