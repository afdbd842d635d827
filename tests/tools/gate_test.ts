import { assert, assertEquals } from "@std/assert";
import { conflictMarkers } from "../../tools/conflict_markers.ts";
import { commandsOf, isSkipped } from "../../tools/readme.ts";
import { testCounts } from "../../tools/test_counts.ts";

Deno.test("the README's commands are read from its shell blocks, with what they print", () => {
  const page = `
\`\`\`sh
npx -y deno task demo   # on memory
\`\`\`

It prints

\`\`\`text
Order state
  Status: shipped
\`\`\`

\`\`\`ts
const notACommand = 1;
\`\`\`

\`\`\`sh
# a comment
$ deno task demo \\
  --nats
deno task test
\`\`\`

## Elsewhere

\`\`\`text
not what it prints
\`\`\`
`;
  assertEquals(commandsOf(page), [
    { line: "deno task demo", prints: "Order state\n  Status: shipped" },
    { line: "deno task demo --nats" },
    { line: "deno task test" },
  ]);
});

Deno.test("the gate leaves out only commands that it knows", () => {
  for (const line of ["deno task test", "deno task ok --no-test", "deno task bench", ".ci/run"]) {
    assert(isSkipped({ line }), line);
  }
  for (const line of ["deno task demo", "deno task tests", "deno run -A x.ts", "rm -rf x"]) {
    assert(!isSkipped({ line }), line);
  }
});

Deno.test("the last closing line of tests is read", () => {
  const output = `
sends ok | 99 passed | 99 failed
ok | 12 passed (3 steps) | 0 failed | 2 ignored (2s)
FAILED | 1 passed | 2 failed | 1 filtered out (10ms)
`;
  assertEquals(testCounts(output), { passed: 1, failed: 2 });
  assertEquals(testCounts("ok | 12 passed (3 steps) | 0 failed (2s)"), { passed: 12, failed: 0 });
  assertEquals(testCounts("--- x\n\n7 passed, 1 failed, 3 ignored (3 so) in 2.0 s"), {
    passed: 7,
    failed: 1,
  });
  assertEquals(testCounts("error: Type checking failed."), { passed: 0, failed: 0 });
});

Deno.test("the markers of a merge that nobody has resolved are found", () => {
  const [ours, theirs] = ["<", ">"].map((sign) => sign.repeat(7));
  const page = `# Page\n\n${ours} HEAD\none\n=======\ntwo\n${theirs} branch\n\nTitle\n=======\n`;
  assertEquals(conflictMarkers(page), [3, 7]);
  assertEquals(conflictMarkers(` ${ours} in a line\n${ours}<\na ${theirs}\n`), []);
});
