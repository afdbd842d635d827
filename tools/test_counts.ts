/** Reads the closing line of `deno test`. */

/** How many tests did what. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
}

/** Adds up the closing lines (`ok | 12 passed (3 steps) | 0 failed (2s)`) in an output. */
export function testCounts(output: string): TestCounts {
  let [passed, failed] = [0, 0];
  for (const line of output.matchAll(/^(?:ok|FAILED) \| (\d+) passed[^|]*\| (\d+) failed/gm)) {
    passed += Number(line[1]);
    failed += Number(line[2]);
  }
  return { passed, failed };
}
