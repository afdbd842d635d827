import { assertEquals, assertStrictEquals } from "@std/assert";
import { natsTest } from "../../support/fixture.ts";
import { exampleMessages, shown } from "./examples.ts";

const DOCS = new URL("../../../docs/design/", import.meta.url);
const PAGE = await Deno.readTextFile(new URL("storage-format.md", DOCS));

/** The blocks of `language` on the page. */
function blocks(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"))]
    .map(([, block]) => block!);
}

natsTest("the messages on the page of the format are what stores write", async (scene) => {
  assertEquals(blocks("text"), (await exampleMessages(scene)).map(shown));
});

Deno.test("the reader on the page of the format is the one that is tested", async () => {
  const reader = await Deno.readTextFile(new URL("read_events.py", DOCS));
  assertEquals(blocks("python").length, 1);
  assertStrictEquals(blocks("python")[0], reader);
});
