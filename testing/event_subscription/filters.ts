import type { EventFilter } from "../../store/options.ts";
import type { Upcaster } from "../../store/upcast.ts";
import { equal, rejects } from "../assert.ts";
import { range, sample, type StoreTest } from "../event_store/kit.ts";
import { all, next, take } from "./kit.ts";

const FILTERS: readonly EventFilter[] = [
  {},
  { category: "order" },
  { category: "order", eventTypes: ["Placed"] },
  { category: "lone" },
  { actorId: "order-1" },
  { actorId: "order-1", category: "order" },
  { actorId: "lone", eventTypes: ["Closed", "Placed"] },
  { eventTypes: ["Closed"] },
];

/** Which events are picked, and how stored data becomes an event. */
export function filters(test: StoreTest): void {
  test("filters pick the same events of a replay, of a read and live", async ({ open }) => {
    const store = await open();
    const actors = ["order-1", "order-2", "orders-1", "order", "lone", "-order"];
    const save = async (version: number): Promise<void> => {
      const eventType = version % 2 === 0 ? "Closed" : "Placed";
      for (const actorId of actors) await store.saveEvent(sample({ actorId, eventType, version }));
    };
    for (const version of range(1, 4)) await save(version);
    const subscriptions = FILTERS.map((filter) => ({ filter, own: store.subscribe({ filter }) }));
    for (const { filter, own } of subscriptions) {
      const wanted = await all(store, { filter });
      equal(await take(own, wanted.length), wanted, `replay by ${JSON.stringify(filter)}`);
    }
    const { sequence } = await store.saveEvent(sample({ actorId: "other-1" }));
    for (const version of range(5, 8)) await save(version);
    for (const { filter, own } of subscriptions) {
      const wanted = (await all(store, { filter, from: sequence }))
        .filter(({ actorId }) => actorId !== "other-1");
      const events = await take(own, wanted.length + (Object.keys(filter).length === 0 ? 1 : 0));
      const others = events.filter(({ actorId }) => actorId !== "other-1");
      equal(others, wanted, `live by ${JSON.stringify(filter)}`);
    }
  });

  test("a subscription goes by the options of its call, whatever the caller makes of them", async ({ open }) => {
    const store = await open();
    await store.saveEvents([sample({ actorId: "stock-1" }), sample({ eventType: "Placed" })]);
    const filter = { category: "order", eventTypes: ["Placed"] };
    const options = { filter, from: "start" as "start" | "now" };
    const [own, other] = [store.subscribe(options), store.subscribe(options)];
    filter.eventTypes[0] = "Closed";
    filter.category = "stock";
    Object.assign(options, { filter: { actorId: "nobody" }, from: "now" });
    equal((await next(own)).actorId, "order-1", "actor of the replay");
    await store.saveEvent(sample({ actorId: "stock-1", eventType: "Closed", version: 2 }));
    await store.saveEvent(sample({ eventType: "Placed", version: 2 }));
    for (const [subscription, count] of [[own, 1], [other, 2]] as const) {
      const last = (await take(subscription, count)).at(-1)!;
      equal([last.actorId, last.version], ["order-1", 2], "the last event");
    }
  });

  test("a filter that matches nothing lets nothing through", async ({ open }) => {
    const store = await open();
    await store.saveEvent(sample());
    const filter = { actorId: "order-1", category: "stock" };
    const subscription = store.subscribe({ filter });
    const first = next(subscription);
    const last = next(store.subscribe());
    equal((await last).version, 1, "version that the other one sees");
    let passed = false;
    first.then(() => passed = true, () => {});
    await store.saveEvent(sample({ version: 2 }));
    await subscription.caughtUp;
    await subscription[Symbol.asyncDispose]();
    await rejects(() => first, "Error", "the next event");
    equal(passed, false, "whether an event passed");
  });

  test("upcasters bring events up to date on their way to a subscription", async ({ open }) => {
    const steps: Upcaster[] = [];
    const store = await open({ upcasters: { OrderPlaced: steps } });
    await store.saveEvent(sample({ data: 7 }));
    steps.push((data) => ({ total: data }));
    await store.saveEvent(sample({ version: 2, data: { total: 8 } }));
    const events = await take(store.subscribe(), 2);
    equal(events.map(({ data }) => data), [{ total: 7 }, { total: 8 }], "data");
  });

  test("a codec decodes the events that a subscription yields, and may take its time", async ({ open }) => {
    const text = new TextDecoder();
    const codec = {
      encode: (event: unknown) => Promise.resolve(new TextEncoder().encode(JSON.stringify(event))),
      decode: (bytes: Uint8Array) => Promise.resolve(JSON.parse(text.decode(bytes))),
    };
    const store = await open({ codec });
    const subscription = store.subscribe();
    for (const version of range(1, 5)) await store.saveEvent(sample({ version, data: version }));
    equal(await take(subscription, 5), await all(store), "events");
  });
}
