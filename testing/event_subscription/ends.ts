import { equal, ok, rejects, within } from "../assert.ts";
import { range, sample, samples, type StoreTest, turns } from "../event_store/kit.ts";
import { ended, iterator, next, take } from "./kit.ts";

/** The ways in which a subscription ends. */
export function ends(test: StoreTest): void {
  test("a subscription ends quietly on break", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 1000)));
    const subscription = store.subscribe();
    for await (const { version } of subscription) if (version === 3) break;
    await ended(subscription);
    equal((await next(store.subscribe())).version, 1, "version that another one begins with");
  });

  test("a subscription ends quietly on its signal, at any time", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 1000)));
    const early = new AbortController();
    early.abort();
    await ended(store.subscribe({ signal: early.signal }));

    const busy = new AbortController();
    const seen: number[] = [];
    for await (const { version } of store.subscribe({ signal: busy.signal })) {
      seen.push(version);
      if (version === 5) busy.abort(new Error("enough"));
    }
    equal(seen, range(1, 5), "versions until the signal");

    const idle = new AbortController();
    const subscription = store.subscribe({ from: "now", signal: idle.signal });
    const coming = iterator(subscription).next();
    await within(subscription.caughtUp, "caughtUp");
    await turns();
    idle.abort();
    equal((await within(coming, "the end")).done, true, "done");
    await ended(subscription);
  });

  test("a subscription that its signal ends before it has caught up rejects with the reason", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [1, 2]));
    const controller = new AbortController();
    const subscription = store.subscribe({ signal: controller.signal });
    await next(subscription);
    const reason = new RangeError("enough");
    controller.abort(reason);
    await ended(subscription);
    ok(await rejects(() => subscription.caughtUp, "RangeError") === reason, "it is the reason");
  });

  test("return() of its iterator ends a subscription that has yielded nothing yet", async ({ open }) => {
    const store = await open();
    await store.saveEvent(sample());
    const subscription = store.subscribe();
    const { done } = await within(iterator(subscription).return!(), "return()");
    equal(done, true, "done");
    await rejects(() => within(subscription.caughtUp, "caughtUp"), "AbortError", "caughtUp");
    await ended(subscription);
  });

  test("disposal ends a subscription, whether it waits, is in a loop or rests", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [1, 2, 3]));
    const unused = store.subscribe();
    await unused[Symbol.asyncDispose]();
    await unused[Symbol.asyncDispose]();
    await ended(unused);

    const waiting = store.subscribe();
    await take(waiting, 3);
    const coming = iterator(waiting).next();
    await within(waiting.caughtUp, "caughtUp");
    await within(waiting[Symbol.asyncDispose](), "disposal");
    equal((await coming).done, true, "done");

    const looped = store.subscribe();
    let count = 0;
    for await (const _ of looped) {
      count++;
      await within(looped[Symbol.asyncDispose](), "disposal in the loop");
    }
    equal(count, 1, "number of events");
  });

  test("disposal of the store ends its subscriptions", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [1, 2, 3]));
    const [unused, resting, waiting] = [store.subscribe(), store.subscribe(), store.subscribe()];
    await next(resting);
    await take(waiting, 3);
    const coming = iterator(waiting).next();
    await within(store[Symbol.asyncDispose](), "disposal of the store");
    equal((await coming).done, true, "done");
    for (const subscription of [unused, resting, waiting]) await ended(subscription);
    await rejects(() => next(store.subscribe()), "StoreUnavailableError", "a later subscription");
  });

  test("an error in the loop ends the subscription and is not hidden", async ({ open }) => {
    const store = await open();
    await store.saveEvent(sample());
    const subscription = store.subscribe();
    await rejects(
      async () => {
        for await (const _ of subscription) throw new RangeError("of the loop's own");
      },
      "RangeError",
      "the loop",
    );
    await ended(subscription);
  });
}
