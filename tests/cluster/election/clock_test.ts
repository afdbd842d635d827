import { assertEquals } from "@std/assert";
import { type Clock, elapsed, instant, waited } from "../../../cluster/election/clock.ts";

const START = { monotonic: 100, wall: 1_000 };

function clock(monotonic: unknown, wall: unknown): Clock {
  const read = (value: unknown) => () => {
    if (value instanceof Error) throw value;
    return value as number;
  };
  return { monotonic: read(monotonic), wall: read(wall) };
}

Deno.test("the time that has passed is what the clock that shows more says", () => {
  assertEquals(elapsed(START, clock(130, 1_010)), 30);
  assertEquals(elapsed(START, clock(110, 1_030)), 30);
  assertEquals(elapsed(START, clock(110, 0)), 10);
});

Deno.test("what others may believe in is waited out by the clock that stops in sleep", () => {
  assertEquals(waited(START, clock(110, 9_000)), 10);
  assertEquals(waited(instant(clock(NaN, 0)), clock(110, 0)), 0);
});

for (const broken of [NaN, "soon", undefined, Promise.resolve(1), new Error("broken")]) {
  Deno.test(`a lease is over, and nothing is waited out, by a clock that gives ${broken}`, () => {
    for (const own of [clock(broken, 1_000), clock(100, broken)]) {
      assertEquals(elapsed(START, own), Infinity);
    }
    assertEquals(waited(START, clock(broken, 1_000)), 0);
  });
}
