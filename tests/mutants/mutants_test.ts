import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "node:path";
import { ROOT } from "../../tools/root.ts";
import { MUTANTS } from "./list/mod.ts";
import { type Mutant, mutated } from "./mutant.ts";
import { ProjectCopy } from "./project_copy.ts";
import { sampleOf } from "./sample.ts";
import { runTests, Trials } from "./trial.ts";

const textOf = (file: string) => Deno.readTextFile(join(ROOT, file));

/** A mutant that changes nothing. */
const NOTHING: Mutant = {
  name: "nothing",
  file: "store/timer/due_heap.ts",
  find: "return this.#entries[0];",
  replace: "return this.#entries[0];",
  tests: ["tests/store/timer/due_heap_test.ts"],
  why: "It is the control.",
};

Deno.test("each mutant changes exactly one place, and names tests that exist", async () => {
  assert(MUTANTS.length >= 60);
  assertEquals(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  for (const mutant of MUTANTS) {
    const text = await textOf(mutant.file);
    assert(mutated(text, mutant) !== text, mutant.name);
    for (const file of mutant.tests) await textOf(file);
    assert(/^[A-Z].*\.$/s.test(mutant.why), mutant.name);
  }
});

Deno.test("a mutant whose place is gone, or not the only one, is refused", () => {
  assertThrows(() => mutated("", NOTHING), RangeError, "occurs there 0 times");
  assertThrows(() => mutated(NOTHING.find.repeat(2), NOTHING), RangeError, "occurs there 2 times");
});

Deno.test("a sample is the same for the same seed, and another for another", () => {
  const all = Array.from({ length: 100 }, (_, at) => at);
  assertEquals(sampleOf(all, 5, 7), sampleOf(all, 5, 7));
  assert(sampleOf(all, 5, 7).join() !== sampleOf(all, 5, 8).join());
  assertEquals(sampleOf(all, 200, 7), all);
});

/** The mutants that tests without a server kill, which takes a second each. */
async function quick(): Promise<Mutant[]> {
  const found = await Promise.all(MUTANTS.map(async (mutant) => {
    const texts = await Promise.all(mutant.tests.map(textOf));
    const isQuick = !texts.some((text) => /natsTest|clusterTest|bed\.ts|Process/.test(text));
    return isQuick && mutant.explained === undefined ? [mutant] : [];
  }));
  return found.flat();
}

Deno.test("two mutants of today are killed, and one that changes nothing survives", async () => {
  const seed = Math.floor(Date.now() / 86_400_000);
  await using copy = await ProjectCopy.make();
  const trials = new Trials(copy);
  for (const mutant of sampleOf(await quick(), 2, seed)) {
    const { kind, by } = await trials.try(mutant);
    assertEquals(kind, "killed", `"${mutant.name}", seed ${seed}: ${by}`);
    assertEquals(
      await Deno.readTextFile(join(copy.folder, mutant.file)),
      await textOf(mutant.file),
    );
  }
  assertEquals((await trials.try(NOTHING)).kind, "survived");
  const elsewhere = { ...NOTHING, filter: "a test that there is not" };
  assertEquals((await trials.try(elsewhere)).kind, "void");
});

Deno.test("tests that fail are told by name, and tests that hang are ended", async () => {
  const folder = await Deno.makeTempDir({ prefix: "aether-mutants-" });
  try {
    await Deno.writeTextFile(join(folder, "deno.json"), "{}");
    const write = (name: string, body: string) =>
      Deno.writeTextFile(join(folder, name), `Deno.test("it holds", async () => { ${body} });`);
    await write("fails_test.ts", `throw new Error("it does not");`);
    await write("hangs_test.ts", "await new Promise((done) => setTimeout(done, 1e6));");
    await write("parses_test.ts", "const const");
    const end = (tests: string, limit = 60_000) => runTests(folder, { tests: [tests] }, limit);
    const failed = await end("fails_test.ts");
    assert(failed.kind === "failed" && failed.by === "it holds", JSON.stringify(failed));
    assertEquals((await end("hangs_test.ts", 3_000)).kind, "hung");
    assertEquals((await end("parses_test.ts")).kind, "void");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
