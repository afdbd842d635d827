import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { anchors, brokenLinks, longCells, pages } from "./support/pages.ts";

const ROOT = new URL("../", import.meta.url);
const PAGES = await pages(ROOT);
/** Bytes that the README may have. */
const LIMIT = 15_000;
/** Characters that a cell of a table may have. */
const CELL = 120;

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

/** The bytes of a page that has too many. */
function tooLong(page: string): number | undefined {
  const { length } = new TextEncoder().encode(page);
  return length > LIMIT ? length : undefined;
}

/** The errors that have a heading on the page of errors. */
function errorsOn(page: string): string[] {
  return [...page.matchAll(/^### (\w+)$/gm)].map(([, code]) => code!).sort();
}

Deno.test("the README's quick start is the example that the demo runs, to the letter", async () => {
  const [, block] = /^## Quick start$.*?^```ts\n(.*?)^```$/ms.exec(await read("README.md")) ?? [];
  assertStrictEquals(block, await read("examples/quick_start.ts"));
});

Deno.test("docs/errors.md has each error of the package, and no other", async () => {
  const source = await read("store/errors.ts");
  const [, body = ""] = /interface AetherErrors \{(.*?)^\}/ms.exec(source) ?? [];
  const codes = [...body.matchAll(/^ {2}(\w+):/gm)].map(([, code]) => code!);
  assert(codes.length > 0);
  assertEquals(errorsOn(await read("docs/errors.md")), codes.sort());
});

Deno.test("the README is short enough to be read in one go", async () => {
  assertEquals(tooLong(await read("README.md")), undefined);
});

Deno.test("no cell of a table is a paragraph", async () => {
  for (const page of PAGES) assertEquals(longCells(await read(page), CELL), [], page);
});

Deno.test("the links within the project lead somewhere", async () => {
  for (const page of PAGES) assertEquals(await brokenLinks(page, ROOT), [], page);
});

Deno.test("the rules for pages see what breaks them, which is the control", async () => {
  assertEquals(tooLong("é".repeat(LIMIT / 2)), undefined);
  assertEquals(tooLong("é".repeat(LIMIT / 2) + "x"), LIMIT + 1);

  const long = "x".repeat(CELL + 1);
  assertEquals(longCells(`| a | b |\n| --- | --- |\n| ${long} | c |`, CELL), [long]);
  assertEquals(longCells(`\`\`\`text\n| ${long} |\n\`\`\``, CELL), []);
  assertEquals(longCells(`| ${"x".repeat(CELL)} |`, CELL), []);

  assertEquals(
    [...anchors("# One\n## `two()` & Three, 4\n## One\n```sh\n# no heading\n```\n")],
    ["one", "two--three-4", "one-1"],
  );
  assertEquals(errorsOn("### OneError\n\n## OtherError\n"), ["OneError"]);

  const folder = await Deno.makeTempDir();
  try {
    const root = new URL(`file://${folder}/`);
    await Deno.mkdir(new URL("docs/", root));
    await Deno.writeTextFile(new URL("docs/guide.md", root), "# Guide\n");
    await Deno.writeTextFile(
      new URL("README.md", root),
      `# Home
[a](docs/guide.md) [b](docs/guide.md#guide) [c](#home) [d](https://nats.io/x) ![e](docs/)
[f](docs/gone.md) [g](docs/guide.md#gone) [h](#gone) ![i](docs/gone.svg)
`,
    );
    assertEquals(await brokenLinks("README.md", root), [
      "docs/gone.md",
      "docs/guide.md#gone",
      "#gone",
      "docs/gone.svg",
    ]);
    assertEquals(await pages(root), [
      "CHANGELOG.md",
      "CONTRIBUTING.md",
      "README.md",
      "docs/guide.md",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
