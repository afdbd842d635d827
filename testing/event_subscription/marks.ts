import type { CorruptEventError, StreamRegressedError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import type { EventSubscriptionOptions } from "../../store/options.ts";
import { equal, ok, rejects, within } from "../assert.ts";
import { range, sample, samples, type StoreTest, turns } from "../event_store/kit.ts";
import { ended, next, take } from "./kit.ts";

/** Whether `promise` has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let is = false;
  promise.then(() => is = true, () => is = true);
  await turns();
  return is;
}

/** The begin of a subscription, its catching up, and its refusals. */
export function marks(test: StoreTest): void {
  test("caughtUp resolves at once if nothing is stored yet", async ({ open }) => {
    const store = await open();
    await within(store.subscribe().caughtUp, "caughtUp of an empty store");
    await store.saveEvents(samples("order-1", [1, 2]));
    await within(store.subscribe({ from: "now" }).caughtUp, "caughtUp from now");
    const { sequence } = await store.saveEvent(sample({ version: 3 }));
    await within(store.subscribe({ from: sequence + 1 }).caughtUp, "caughtUp from the end");
    const filter = { category: "stock" };
    await within(store.subscribe({ filter }).caughtUp, "caughtUp of a category without events");
  });

  test("caughtUp resolves when the reader comes back after the last event", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 10)));
    const subscription = store.subscribe();
    await take(subscription, 10);
    ok(!await settled(subscription.caughtUp), "the tenth event is still being handled");
    const coming = next(subscription);
    await within(subscription.caughtUp, "caughtUp");
    await store.saveEvent(sample({ version: 11 }));
    await coming;
  });

  test("caughtUp resolves if the last event is of another type", async ({ open }) => {
    const store = await open();
    await store.saveEvents([sample(), sample({ version: 2, eventType: "Closed" })]);
    const subscription = store.subscribe({ filter: { eventTypes: ["OrderPlaced"] } });
    await next(subscription);
    const coming = next(subscription);
    await within(subscription.caughtUp, "caughtUp");
    await store.saveEvent(sample({ version: 3 }));
    equal((await coming).version, 3, "version of the next event");
  });

  test("caughtUp resolves at a break in the last event, rejects before", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [1, 2, 3]));
    const whole = store.subscribe();
    for await (const { version } of whole) if (version === 3) break;
    await within(whole.caughtUp, "caughtUp");
    const part = store.subscribe();
    for await (const { version } of part) if (version === 2) break;
    await rejects(() => within(part.caughtUp, "caughtUp"), "AbortError");
    // Nobody awaits this one, and nothing complains.
    for await (const _ of store.subscribe()) break;
    await turns();
  });

  test("a start beyond the end is StreamRegressedError", async ({ open }) => {
    const store = await open();
    const { sequence } = await store.saveEvent(sample());
    for (const from of [sequence + 2, sequence + 100, Number.MAX_SAFE_INTEGER]) {
      const subscription = store.subscribe({ from });
      const error = await rejects<StreamRegressedError>(
        () => next(subscription),
        "StreamRegressedError",
        `the iteration from ${from}`,
      );
      equal(error.expectedSequence, from - 1, "expectedSequence");
      ok(error.actualSequence >= sequence && error.actualSequence < from, "actualSequence is less");
      await rejects(() => subscription.caughtUp, "StreamRegressedError", "caughtUp");
      await ended(subscription);
    }
  });

  test("subscribe() never throws; the iteration refuses impossible options", async ({ open }) => {
    const store = await open();
    const wrong: EventSubscriptionOptions[] = [
      { from: -1 },
      { from: 1.5 },
      { from: NaN },
      { from: "end" as never },
      { filter: { actorId: "" } },
      { filter: { category: "\udc00" } },
      { filter: { category: "shopping-cart" } },
    ];
    for (const options of wrong) {
      const subscription = store.subscribe(options);
      await rejects(() => next(subscription), "RangeError", JSON.stringify(options));
      await rejects(() => subscription.caughtUp, "RangeError", "caughtUp");
    }
  });

  test("an event that cannot be read ends the iteration at its place", async ({ open }) => {
    const codec = {
      encode: (event: Event) => new TextEncoder().encode(JSON.stringify(event)),
      decode(bytes: Uint8Array): Event {
        const event = JSON.parse(new TextDecoder().decode(bytes));
        if (event.version === 3) throw new Error("unreadable");
        return event;
      },
    };
    const store = await open({ codec });
    await store.saveEvents(samples("order-1", range(1, 5)));
    const subscription = store.subscribe();
    const before = await take(subscription, 2);
    const error = await rejects<CorruptEventError>(() => next(subscription), "CorruptEventError");
    equal(error.sequence, before[1]!.sequence + 1, "sequence");
    await ended(subscription);
    const rest = await take(store.subscribe({ from: error.sequence + 1 }), 2);
    equal(rest.map(({ version }) => version), [4, 5], "versions after it");
  });
}
