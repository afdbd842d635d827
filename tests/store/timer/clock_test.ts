import { assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { StoreUnavailableError } from "../../../store/mod.ts";
import { type DeadlineClock, ServerClock } from "../../../store/timer/clock.ts";
import { GuardedClock } from "../../../store/timer/guarded_clock.ts";

Deno.test("a server's clock asks again after a second, as clocks drift apart", async () => {
  const now = performance.now;
  let [passed, asked] = [0, 0];
  // What the server says is an hour ahead of what went by here.
  const clock = new ServerClock({ now: () => Promise.resolve(3_600_000 * asked++) });
  performance.now = () => passed;
  try {
    assertEquals([await clock.now(), asked], [0, 1]);
    passed = 1_000;
    assertEquals([await clock.now(), asked], [1_000, 1]);
    passed = 1_001;
    assertEquals([await clock.now(), asked], [3_600_000, 2]);
  } finally {
    performance.now = now;
  }
});

Deno.test("a server's clock is looked at again however late a deadline is, as it may have been wrong", async () => {
  using time = new FakeTime();
  const clock = new ServerClock({ now: () => Promise.resolve(0) });
  let isOver = false;
  const waiting = clock.wait(3_600_000, new AbortController().signal).then(() => isOver = true);
  await time.tickAsync(14_999);
  assertEquals(isOver, false);
  await time.tickAsync(1);
  await waiting;
});

for (const given of [NaN, Infinity, 8.7e15, "soon", undefined, Promise.resolve(NaN)]) {
  Deno.test(`a clock that gives ${given} gives no time: no deadline is due by it`, async () => {
    const own = { now: () => given, wait: () => Promise.resolve() } as unknown as DeadlineClock;
    await assertRejects(() => new GuardedClock(own).now(), StoreUnavailableError, "not a time");
  });
}
