import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { run } from "../../tools/command.ts";
import { examples } from "../../tools/examples/example.ts";
import { ROOT } from "../../tools/root.ts";

Deno.test("each example says what it shows", async () => {
  const all = await examples();
  assert(all.size >= 7);
  for (const [name, what] of all) assertMatch(what, /^[A-Z][^\n]{20,100}$/, name);
  assertEquals(all.has("cluster_node"), false);
});

Deno.test("an example that there is not leads to the list of those that there are", async () => {
  const script = join(ROOT, "tools", "examples", "example.ts");
  const { success, output } = await run(Deno.execPath(), ["run", "-A", script, "nowhere"]);
  assertEquals(success, false);
  assertMatch(output, /^Cannot run "nowhere": the examples are\naudit {2}/);
});
