import { assertEquals, assertStrictEquals } from "@std/assert";

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(`../${path}`, import.meta.url));
}

const README = await read("README.md");

Deno.test("the README's quick start is the example that the demo runs, to the letter", async () => {
  const [, block] = /^## Quick start$.*?^```ts\n(.*?)^```$/ms.exec(README) ?? [];
  assertStrictEquals(block, await read("examples/quick_start.ts"));
});

Deno.test("the README names each error of the package in its table, and no other", async () => {
  const source = await read("store/errors.ts");
  const [, body = ""] = /interface AetherErrors \{(.*?)^\}/ms.exec(source) ?? [];
  const codes = [...body.matchAll(/^ {2}(\w+):/gm)].map(([, code]) => code!);
  const rows = [...README.matchAll(/^\| `(\w+Error)` /gm)].map(([, code]) => code!);
  assertEquals(rows.sort(), codes.sort());
});

Deno.test("the README's links within the project lead somewhere", async () => {
  for (const page of ["README.md", "CONTRIBUTING.md", "docs/design.md", "CHANGELOG.md"]) {
    for (const [, link = ""] of (await read(page)).matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)) {
      await Deno.stat(new URL(link, new URL(`../${page}`, import.meta.url)));
    }
  }
});
