import { Chaos } from "../chaos/scenario.ts";
import { shopUnderFire } from "../chaos/shop.ts";

Deno.test("the shop, killed twice under 40 orders, has each placed, paid and shipped once", async () => {
  await shopUnderFire(new Chaos(1, 0), { orders: 40, kills: 2 });
});
