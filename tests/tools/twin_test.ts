import { assert, assertEquals } from "@std/assert";
import { AssertionError } from "node:assert";
import * as twin from "../../tools/twin/assert.ts";
import { assertSpyCalls, spy, stub } from "../../tools/twin/mock.ts";
import { FakeTime } from "../../tools/twin/time.ts";

/** Whether `fn` ends in a failed assertion. */
async function fails(fn: () => unknown): Promise<boolean> {
  try {
    await fn();
    return false;
  } catch (error) {
    if (error instanceof AssertionError) return true;
    throw error;
  }
}

Deno.test("the twin of @std/assert holds these functions and no more", () => {
  assertEquals(Object.keys(twin).sort(), [
    "assert",
    "assertEquals",
    "assertMatch",
    "assertRejects",
    "assertStrictEquals",
    "assertThrows",
  ]);
});

Deno.test("the twin of @std/assert distinguishes plain data by shape and content", async () => {
  twin.assertEquals({ a: [1, { b: "x" }], d: new Date(5) }, { a: [1, { b: "x" }], d: new Date(5) });
  twin.assertEquals(new Uint8Array([1, 2]), new Uint8Array([1, 2]));
  twin.assertEquals(NaN, NaN);
  assert(await fails(() => twin.assertEquals<unknown>({ a: 1 }, { a: "1" })));
  assert(await fails(() => twin.assertEquals([1, 2], [1, 2, 3])));
  assert(await fails(() => twin.assertEquals<unknown>({ a: undefined }, {})));
  assert(await fails(() => twin.assertEquals<unknown>(new (class A {})(), {})));
  assert(await fails(() => twin.assertStrictEquals({}, {})));
  assert(await fails(() => twin.assert(0)));
  assert(await fails(() => twin.assertMatch("abc", /d/)));
});

Deno.test("the twin's assertThrows() checks the class and the text, and returns the error", async () => {
  const error = new RangeError("out of range");
  const thrower = () => {
    throw error;
  };
  assert(twin.assertThrows(thrower, RangeError, "out of") === error);
  assert(twin.assertThrows(thrower) === error);
  assert(await fails(() => twin.assertThrows(thrower, TypeError)));
  assert(await fails(() => twin.assertThrows(thrower, RangeError, "elsewhere")));
  assert(await fails(() => twin.assertThrows(() => {})));
});

Deno.test("the twin's assertRejects() checks the rejection's class and text", async () => {
  const error = new RangeError("out of range");
  const rejecter = () => Promise.reject(error);
  assert(await twin.assertRejects(rejecter, RangeError, "out of") === error);
  assert(await twin.assertRejects(rejecter) === error);
  assert(await fails(() => twin.assertRejects(rejecter, TypeError)));
  assert(await fails(() => twin.assertRejects(rejecter, RangeError, "elsewhere")));
  assert(await fails(() => twin.assertRejects(() => Promise.resolve())));
  const throwsAtOnce = () => {
    throw error;
  };
  assert(await fails(() => twin.assertRejects(throwsAtOnce)));
});

Deno.test("the twin's FakeTime moves Date and the timers only when asked to", async () => {
  const ran: string[] = [];
  {
    using time = new FakeTime(1_000);
    setTimeout(() => ran.push(`b at ${Date.now()}`), 20);
    setTimeout(() => ran.push(`a at ${new Date().getTime()}`), 10);
    const every = setInterval(() => ran.push("every"), 15);
    clearTimeout(setTimeout(() => ran.push("never"), 1));
    time.tick(9);
    assertEquals(ran, []);
    time.tick(11);
    assertEquals(ran, ["a at 1010", "every", "b at 1020"]);
    clearInterval(every);
    assertEquals(time.next(), false);

    const waited = new Promise<number>((resolve) => setTimeout(() => resolve(Date.now()), 5_000));
    await time.tickAsync(5_000);
    assertEquals(await waited, 6_020);
    assert(new Date(0) instanceof Date);
  }
  assert(Date.now() > 1_000_000);
});

Deno.test("the twin's spies record calls and put the original back", () => {
  const target = { twice: (n: number) => 2 * n };
  {
    using twice = spy(target, "twice");
    assertEquals(target.twice(2), 4);
    assertSpyCalls(twice, 1);
    assertEquals(twice.calls[0]?.args, [2]);
  }
  {
    using twice = stub(target, "twice", () => 5);
    assertEquals(target.twice(2), 5);
    assertSpyCalls(twice, 1);
  }
  assertEquals(target.twice(3), 6);
});
