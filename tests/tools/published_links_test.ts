import { assertEquals } from "@std/assert";
import { PAGES, withAbsoluteLinks } from "../../tools/published_links.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("the links of what is published become absolute, but those in the page and in code", () => {
  const page = "[a](../docs/x.md#y) ![b](p/q.svg) [`c`](#here) [d](https://x.y)\n" +
    "```md\n[e](f.md)\n```\n[g](h.ts)";
  assertEquals(
    withAbsoluteLinks(page, "store/README.md", "o/n", "c1"),
    "[a](https://github.com/o/n/blob/c1/docs/x.md#y) " +
      "![b](https://raw.githubusercontent.com/o/n/c1/store/p/q.svg) [`c`](#here) [d](https://x.y)\n" +
      "```md\n[e](f.md)\n```\n[g](https://github.com/o/n/blob/c1/store/h.ts)",
  );
});

Deno.test("no published page is left with a link into the project, and all are listed", async () => {
  const there: string[] = [];
  for (const folder of ["", "adapters/", "bus/", "cli/", "cluster/", "store/", "testing/"]) {
    for await (const { name } of Deno.readDir(new URL(folder, ROOT))) {
      if (name.endsWith(".md")) there.push(folder + name);
    }
  }
  assertEquals(there.sort(), [...PAGES].sort());
  for (const page of PAGES) {
    const text = await Deno.readTextFile(new URL(page, ROOT));
    const prose = withAbsoluteLinks(text, page, "o/n", "c1").replace(/^```.*?^```[ \t]*$/gms, "");
    const relative = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
      .filter((link) => !/^(https:|#)/.test(link));
    assertEquals(relative, [], page);
  }
});
