import { assert, assertEquals, assertMatch } from "@std/assert";
import { join, relative } from "node:path";
import { run } from "../../tools/command.ts";
import { ROOT } from "../../tools/root.ts";
import { endChild } from "../../tools/tests/end_child.ts";
import { TestsUnderWay } from "../../tools/tests/hang_watch.ts";
import { CALM, FIRST, inOrder, parseArguments, select, testFiles } from "../../tools/tests/plan.ts";
import { NO_REASON, readJunit, reasons } from "../../tools/tests/results.ts";

/** Runs `deno task test` on files of this content; gives its last line, all lines, and whether it ended well. */
function test(files: Record<string, string>, ...args: string[]) {
  return testWith({}, files, ...args);
}

/** The same with variables in the environment. */
async function testWith(
  env: Record<string, string>,
  files: Record<string, string>,
  ...args: string[]
) {
  const folder = await Deno.makeTempDir({ prefix: "aether-test-" });
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), text);
    }
    const paths = Object.keys(files).map((name) => join(folder, name));
    const main = join(ROOT, "tools", "tests", "main.ts");
    const { success, output } = await run(Deno.execPath(), ["run", "-A", main, ...paths, ...args], {
      env,
    });
    return { success, output, last: output.split("\n").at(-1)!.replace(/ in [\d.]+ s$/, "") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const FINE = `Deno.test("is fine", async (t) => void await t.step("step", () => {}));\n`;

Deno.test("the last line counts the tests, and adds up why some are ignored", async () => {
  const ignored = (name: string) => `Deno.test({ name: "${name}", ignore: true, fn() {} });\n`;
  const files = {
    "a_test.ts": FINE + ignored("one (no sun)") + ignored("two() (rain)") + ignored("three (rain)"),
    "b_test.ts": FINE + ignored("reads()"),
  };
  const { success, last } = await test(files, "--no-check");
  assertEquals([success, last], [
    true,
    `2 passed, 0 failed, 4 ignored (2 rain; 1 ${NO_REASON}; 1 no sun)`,
  ]);
  const one = await test(files, "--no-check", "--filter", "/fine|rain/");
  assertEquals([one.success, one.last], [true, "2 passed, 0 failed, 2 ignored (2 rain)"]);
});

Deno.test("a test that fails is shown whole, at the end, and fails the run", async () => {
  const fails = `Deno.test("fails", () => { console.log("said"); throw new Error("broken"); });\n`;
  const { success, last, output } = await test(
    { "a_test.ts": FINE + fails, "b_test.ts": FINE },
    "--no-check",
  );
  assertEquals([success, last], [false, "2 passed, 1 failed"]);
  assertMatch(output, /\n--- \S+a_test\.ts\n[^]*said[^]*Error: broken[^]*a_test\.ts:2/);
});

Deno.test("a file that passes only alone is counted once, and shown as flaky", async () => {
  const mark = JSON.stringify(await Deno.makeTempFile());
  const flaky = FINE + `Deno.test({ name: "two (rain)", ignore: true, fn() {} });
  Deno.test("fails at first", () => {
    const runs = Deno.readTextFileSync(${mark});
    Deno.writeTextFileSync(${mark}, runs + ".");
    if (runs === "") throw new Error("broken");
  });\n`;
  const { success, last, output } = await test(
    { "flaky_test.ts": flaky, "b_test.ts": FINE },
    "--no-check",
  );
  await Deno.remove(JSON.parse(mark));
  assertEquals([success, last], [true, "3 passed, 0 failed, 1 flaky, 1 ignored (1 rain)"]);
  assertMatch(output, /^FAILED \S+flaky_test\.ts/m);
  assertMatch(output, /^FLAKY {2}\S+flaky_test\.ts/m);
  assertMatch(output, /\n--- \S+flaky_test\.ts failed beside others[^]*Error: broken/);
});

Deno.test("a file that breaks fails the run, and the other files run", async () => {
  const broken: Record<string, [text: string, says: RegExp]> = {
    "parse_test.ts": ["Deno.test(", /SyntaxError|Expected/],
    "import_test.ts": [`import "./nothing.ts";`, /Module not found/],
    "throw_test.ts": [`${FINE}throw new Error("outside");`, /Error: outside/],
    "kill_test.ts": [`Deno.test("x", () => Deno.kill(Deno.pid, "SIGKILL"));`, /ended by SIGKILL/],
    "exit_test.ts": [`${FINE}Deno.exit(0);`, /without saying how its tests went/],
  };
  const files = Object.entries(broken).map(([name, [text]]) => [name, text]);
  const { success, last, output } = await test(
    { ...Object.fromEntries(files), "fine_test.ts": FINE },
    "--no-check",
  );
  assertEquals([success, last], [false, "1 passed, 5 failed"]);
  for (const [name, [, says]] of Object.entries(broken)) {
    assertMatch(output, new RegExp(`^FAILED \\S+${name} \\(1 failed, `, "m"));
    const whole = output.split(/^--- /m).find((part) => part.split("\n")[0]!.endsWith(name));
    assertMatch(whole ?? "", says);
  }
});

Deno.test("a file in which no test ends any more is ended, and the test under way is named", async () => {
  const hangs = `Deno.test("hangs", async (t) => {
    await t.step("goes well", () => {});
    await t.step("waits", async () => {
      console.log("said");
      Deno.addSignalListener("SIGTERM", () => {}); // so that it takes more than that to end it
      setInterval(() => console.log("alive"), 100);
      await new Promise(() => {});
    });
  });\n`;
  const { success, last, output } = await testWith(
    { AETHER_TEST_LIMIT: "3" },
    { "hang_test.ts": FINE + hangs, "fine_test.ts": FINE },
    "--no-check",
  );
  assertEquals([success, last], [false, "1 passed, 1 failed"]);
  assertMatch(output, /^FAILED \S+hang_test\.ts \(1 failed, /m);
  assertMatch(
    output,
    /^No test ended for 3 s, so the file was ended: "hangs > waits" was under way$/m,
  );
  assertMatch(output, /\n--- \S+hang_test\.ts\n[^]*said/);
});

Deno.test("a process that has ended already is ended again without harm", async () => {
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", "setInterval(() => {}, 1e6)"] })
    .spawn();
  endChild(child, "SIGTERM");
  assertEquals((await child.status).signal, "SIGTERM");
  endChild(child, "SIGKILL");
});

Deno.test("the test under way is known from the output, however it is cut", () => {
  const lines: [line: string, underWay: string][] = [
    ["running 2 tests\n", ""],
    ["a ... ok (1ms)\n", ""],
    ["b (x ... y) ...\n", "b (x ... y)"],
    ["  one ... ok (0ms)\n", "b (x ... y)"],
    ["  two ...\n", "b (x ... y) > two"],
    ["------- output -------\n...\n----- output end -----\n", "b (x ... y) > two"],
    ["  two ... FAILED (1ms)\n", "b (x ... y)"],
    ["b (x ... y) ... ok (2ms)\n", ""],
    ["c ...'c' has been running for over (1m0s)\n", "c"],
    ["'c' has been running for over (2m0s)\n", "c"],
    ["c ... ok (2m9s)\n", ""],
    ["d ... ", "d"],
  ];
  for (const size of [1, 3, 1_000]) {
    const tests = new TestsUnderWay();
    let ended = 0;
    for (const [line, underWay] of lines) {
      for (let at = 0; at < line.length; at += size) {
        if (tests.read(line.slice(at, at + size))) ended++;
      }
      assertEquals(tests.name, underWay);
    }
    assertEquals(ended, 5);
  }
});

Deno.test("a file that does not type-check fails the run", async () => {
  const { success, last, output } = await test({
    "a_test.ts": `${FINE}export const a: number = "";`,
  });
  assertEquals([success, last], [false, "1 passed, 1 failed"]);
  assertMatch(output, /--- types\n[^]*TS2322/);
});

Deno.test("arguments that select no test are an error", async () => {
  const nowhere = ["no", "such"].join(""); // a word of this file would select this file
  for (const words of [[nowhere], ["tests/tools/gate_test.ts", `--filter=${nowhere}`]]) {
    const { success, last } = await test({}, "--no-check", ...words);
    assertEquals(success, false);
    assertMatch(last, /^Cannot find a test file, or the name of a test, by /);
    assert(last.includes(nowhere), last);
  }
});

Deno.test("a path or a word selects files, and any other word tests by their name", async () => {
  const all = ["tests/a/b_test.ts", "tests/tools/gate_test.ts", "tests/tools/tests_test.ts"];
  assertEquals(await select([], all), { files: all });
  assertEquals(await select(["a/b"], all), { files: all.slice(0, 1) });
  assertEquals(await select(["tests/tools"], all), { files: all.slice(1) });
  assertEquals(await select(["tests/tools/gate_test.ts"], all), { files: all.slice(1, 2) });
  const name = "Cancelled"; // which is below
  assertEquals(await select([name], all), { files: all.slice(2), filter: name });
  const nowhere = ["qu", "xy"].join("");
  assertEquals(await select([nowhere], all), { files: [], filter: nowhere });
  assertEquals(await select(["gate", "saves twice"], all), {
    files: all.slice(1, 2),
    filter: "saves twice",
  });
});

Deno.test("flags go to deno test, with a -- before them or without", () => {
  const flags = ["--filter", "a b"];
  const request = { verbose: true, words: ["x"], flags, asIs: false };
  assertEquals(parseArguments(["x", "--verbose", "--", ...flags]), request);
  assertEquals(parseArguments([...flags, "x", "--verbose", "--parallel"]), request);
  assert(parseArguments(["--watch"]).asIs);
});

Deno.test("steps count with their tests, and tests that were filtered out do not count", () => {
  const xml = `<testsuites>
    <testcase name="a &gt; b &amp; &quot;c&quot;" time="0"></testcase>
    <testcase name="a &gt; b &amp; &quot;c&quot; &gt; step" time="0"><skipped/></testcase>
    <testcase name="cancelled"><error message="Cancelled"/></testcase>
    <testcase name="out (why)"><skipped/></testcase>
    <testcase name="filtered"><skipped/></testcase></testsuites>`;
  assertEquals(readJunit(xml, "out (why) ... ignored (0ms)"), {
    passed: 1,
    failed: 1,
    ignored: ["why"],
  });
  assertEquals(reasons(["a", "b", "b"]), "2 b; 1 a");
});

Deno.test("the files that start first or run in calm are there, and each file runs once", async () => {
  const all = await testFiles();
  assert(all.includes(relative(ROOT, import.meta.filename!)));
  for (const file of [...FIRST, ...CALM.keys()]) assert(all.includes(file), file);
  const { together, calm } = inOrder(all);
  assertEquals([...together, ...calm].sort(), all);
  assertEquals(together.slice(0, FIRST.length), FIRST);
});
