import { assert } from "@std/assert";
import { trySmallShop } from "../../tools/shop/small.ts";

const SCRIPT = new URL("../../examples/small_shop.ts", import.meta.url);

Deno.test("small_shop.ts takes orders, cancels those that are not paid, and ends in order", async () => {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const args = ["run", "-A", "--no-check", "--config", config, SCRIPT.pathname];
  await trySmallShop(Deno.execPath(), args);
});

Deno.test("small_shop.ts has fewer than 200 lines", async () => {
  const lines = (await Deno.readTextFile(SCRIPT)).trimEnd().split("\n");
  assert(lines.length < 200, `it has ${lines.length}`);
});
