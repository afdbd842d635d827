import { assert, assertEquals } from "@std/assert";
import {
  type Call,
  callChain,
  callChainIn,
  withCalls,
} from "../../../cluster/commands/call_chain.ts";

const call = (at: number): Call => ({ actorId: `a-${at}`, id: `c-${at}` });

Deno.test("what a handler has begun knows no calls once the handler has ended", async () => {
  const ended = Promise.withResolvers<void>();
  let late: Promise<readonly Call[]> | undefined;
  await withCalls([call(1)], async () => {
    late = ended.promise.then(callChain);
    await Promise.resolve();
    assertEquals(callChain(), [call(1)]);
    await withCalls([call(1), call(2)], () => Promise.resolve());
    assertEquals(callChain(), [call(1)]);
  });
  ended.resolve();
  assertEquals([await late, callChain()], [[], []]);
});

Deno.test("a chain of handlers that do not wait carries a bounded number of calls", async () => {
  const calls = Array.from({ length: 1_000 }, (_, at) => call(at));
  const kept = await withCalls(calls, () => Promise.resolve(callChain()));
  assert(kept.length <= 64);
  assertEquals(kept.at(-1), call(999));
});

Deno.test("a chain in a message may be anything", () => {
  for (const value of [undefined, null, 7, "a", {}, [null, 7, { actorId: 1, id: "c" }]]) {
    assertEquals(callChainIn(value), []);
  }
  assertEquals(callChainIn([call(1)]), [call(1)]);
});
