import { assertEquals, assertThrows } from "@std/assert";
import { type EventSource, Subscriptions } from "../../../store/subscription.ts";

Deno.test("a subscription that cannot be made is not counted as open", async () => {
  let open = 0;
  const subscriptions = new Subscriptions({
    subscriptions: (change) => open += change,
    deliver: () => {},
  });
  const source: EventSource = {
    start: () => Promise.resolve({ after: 0, end: 0 }),
    follow: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
  };
  const broken = {
    addEventListener: () => {
      throw new Error("no signal");
    },
  };
  assertThrows(
    () => subscriptions.add(source, broken as unknown as AbortSignal, () => {}),
    Error,
    "no signal",
  );
  assertEquals(open, 0);
  const subscription = subscriptions.add(source, undefined, () => {});
  assertEquals(open, 1);
  await subscription[Symbol.asyncDispose]();
  assertEquals(open, 0);
});
