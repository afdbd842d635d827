/** Examples that readers copy say where they run: `await using` is a syntax error on Node 22. */
import { assertEquals } from "@std/assert";

const ROOT = new URL("..", import.meta.url);
const USE = /^\s*await using /m;
const SAID = /Node 24/;

/** The paths of all files of a kind under `folder`. */
async function* files(folder: string, kind: RegExp): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) yield* files(`${folder}${name}/`, kind);
    else if (kind.test(name)) yield folder + name;
  }
}

/** The examples in the comments of a file. */
function examplesIn(text: string): string[] {
  const comments = text.replaceAll(/^ *\* ?/gm, "");
  return [...comments.matchAll(/^```ts.*\n([^]*?)^```/gm)].map(([, code]) => code!);
}

Deno.test("each page and each example says what `await using` needs", async () => {
  const silent: string[] = [];
  for (const folder of ["store/", "bus/", "cluster/", "testing/"]) {
    for await (const path of files(folder, /\.ts$/)) {
      const examples = examplesIn(await Deno.readTextFile(new URL(path, ROOT)));
      if (examples.some((code) => USE.test(code) && !SAID.test(code))) silent.push(path);
    }
  }
  for await (const path of files("docs/", /\.md$/)) {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    if (USE.test(text) && !SAID.test(text)) silent.push(path);
  }
  for (const path of ["README.md", "CONTRIBUTING.md", "mod.ts"]) {
    const text = await Deno.readTextFile(new URL(path, ROOT));
    const blocks = path === "mod.ts" ? examplesIn(text) : [text];
    if (blocks.some((text) => USE.test(text) && !SAID.test(text))) silent.push(path);
  }
  assertEquals(silent, []);
});

Deno.test("an example that says nothing of `await using` is found", () => {
  const [example] = examplesIn("/**\n * ```ts\n * await using store = open();\n * ```\n */");
  assertEquals([USE.test(example!), SAID.test(example!)], [true, false]);
});
