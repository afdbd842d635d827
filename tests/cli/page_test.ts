import { assert, assertEquals } from "@std/assert";
import { VERBS } from "../../cli/verbs.ts";
import { bare } from "./bed.ts";

Deno.test("docs/cli.md shows what --help prints, of each verb", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/cli.md", import.meta.url));
  for (const args of [["--help"], ...Object.keys(VERBS).map((verb) => [verb, "--help"])]) {
    const { code, out } = await bare(...args);
    assertEquals(code, 0);
    assert(
      page.includes(`\`\`\`text\n${out}\`\`\``),
      `docs/cli.md is not what aether ${args} prints`,
    );
  }
});
