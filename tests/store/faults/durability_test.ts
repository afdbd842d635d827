import { assert } from "@std/assert";
import { killedTogether } from "../../chaos/durability.ts";
import { Chaos } from "../../chaos/scenario.ts";

for (const sync of [undefined, "always"] as const) {
  Deno.test(`All servers are killed at once, ${sync ?? "default"} sync: nothing acknowledged is lost`, async () => {
    const { kills, saved } = await killedTogether(new Chaos(7, 0), 1, sync);
    assert(Number(kills) >= 1 && Number(saved) > 0, `${kills} kills, ${saved} saves`);
  });
}
