import { assert } from "@std/assert";
import { jitteredWaits } from "../../../store/base/jitter.ts";

Deno.test("waits double up to the longest, and at least half of each is waited", () => {
  for (let round = 0; round < 100; round++) {
    const next = jitteredWaits(5, 30);
    for (const span of [5, 10, 20, 30, 30]) {
      const wait = next();
      assert(wait >= span / 2 && wait <= span, `${wait} ms of ${span} ms`);
    }
  }
});

Deno.test("waits of two callers differ", () => {
  const [one, other] = [jitteredWaits(1000, 1000), jitteredWaits(1000, 1000)];
  assert(Array.from({ length: 10 }, () => one() !== other()).some(Boolean));
});
