import { assertEquals } from "@std/assert";
import { dropOldest } from "../../../store/base/oldest.ts";

Deno.test("the newest entries stay, and a tenth more at most", () => {
  for (const most of [1, 9, 10, 1000]) {
    const kept = new Set<number>();
    for (let at = 0; at < 5 * most; at++) {
      kept.add(at);
      dropOldest(kept, most);
      const oldest = Math.max(0, at - most + 1);
      assertEquals([kept.has(oldest), kept.has(at)], [true, true]);
      assertEquals(kept.size <= 1.1 * most, true, `${kept.size} of ${most}`);
    }
  }
});
