import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { unlessAborted, unlessStuck } from "../../../store/base/abort.ts";

/** What a query builder gives: no promise, and it begins when it is awaited. */
function lazy<T>(promise: Promise<T>): Promise<T> & { readonly begun: () => number } {
  let begun = 0;
  const then: Promise<T>["then"] = (onValue, onError) => {
    begun++;
    return promise.then(onValue, onError);
  };
  return { then, begun: () => begun } as Promise<T> & { readonly begun: () => number };
}

const never = new Promise<never>(() => {});

Deno.test("An aborted signal ends the wait for a promise, and for what only passes for one", async () => {
  for (const work of [never, lazy(never)]) {
    const stop = new AbortController();
    const waiting = unlessAborted(stop.signal, work);
    stop.abort(new Error("over"));
    await assertRejects(() => waiting, Error, "over");
  }
});

Deno.test("What passes for a promise begins once, and gives its result or its error", async () => {
  const { signal } = new AbortController();
  const work = lazy(Promise.resolve(5));
  assertEquals(await unlessAborted(signal, work), 5);
  assertEquals(work.begun(), 1);
  const failure = lazy(Promise.reject(new Error("failed")));
  await assertRejects(() => unlessAborted(signal, failure), Error, "failed");
});

Deno.test("A value that is there is given at once, unless the signal is aborted already", () => {
  assertEquals(unlessAborted<number>(new AbortController().signal, 5), 5);
  const over = AbortSignal.abort(new Error("over"));
  assertThrows(() => unlessAborted<number>(over, 5), Error, "over");
});

Deno.test("What never answers holds up a stop for two seconds, whatever passes for a promise", async () => {
  using time = new FakeTime();
  for (const work of [never, lazy(never)]) {
    const stop = new AbortController();
    const waiting = assertRejects(() => unlessStuck(stop.signal, work), Error, "over");
    stop.abort(new Error("over"));
    await time.tickAsync(2_000);
    await waiting;
  }
});
