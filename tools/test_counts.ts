/** Reads the closing line of tests. */

/** How many tests did what. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
}

/**
 * Reads the last closing line in an output: `deno test` says `ok | 12 passed (3 steps) | 0 failed (2s)`, and
 * `deno task test` says `12 passed, 0 failed in 2.0 s`.
 */
export function testCounts(output: string): TestCounts {
  const [, passed, failed] = [...output.matchAll(CLOSING)].at(-1) ?? [];
  return { passed: Number(passed ?? 0), failed: Number(failed ?? 0) };
}

const CLOSING = /^(?:(?:ok|FAILED) \| )?(\d+) passed(?: \([^)]*\))?(?: \||,) (\d+) failed/gm;
