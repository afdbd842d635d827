import type { SubscribeOptions } from "../../bus/bus.ts";
import type { Event } from "../../store/event.ts";
import { equal } from "../assert.ts";
import { type BusTest, data, fails, sample, take, versions } from "./kit.ts";

/** Which subscriber gets which events. */
export function routing(test: BusTest): void {
  test("publish() brings a subscriber the whole event", async (bus) => {
    const subscription = bus.subscribe("orders");
    const event = sample({
      data: { total: 99.5, lines: [{ sku: "ä" }, null] },
      metadata: { correlationId: "c", traceparent: "00-1-2-01", own: "x" },
    });
    await bus.publish("orders", event);
    equal((await take(subscription, 1))[0], event);
  });

  test("subscribe() is active when it returns", async (bus) => {
    const published = [1, 2, 3].map((version) => sample({ version }));
    const subscription = bus.subscribe("orders");
    for (const event of published) await bus.publish("orders", event);
    equal(versions(await take(subscription, 3)), [1, 2, 3]);
  });

  test("subscribers of one namespace see no other namespace", async (bus) => {
    const subscription = bus.subscribe("orders");
    for (const other of ["billing", "orders.eu", "order", "orders2", "eu.orders", "Orders"]) {
      await bus.publish(other, sample({ data: other }));
    }
    await bus.publish("orders", sample({ data: "last" }));
    equal(data(await take(subscription, 1)), ["last"]);
  });

  test("a namespace made of wildcards reaches only itself", async (bus) => {
    const victim = bus.subscribe("orders");
    const nested = bus.subscribe("orders.eu");
    const hostile = ["*", ">", "*.*", "*.>", "orders.*", "orders.>", "orders\r\n", "or ders"];
    const own = hostile.map((name) => bus.subscribe(name, { exact: true }));
    for (const name of hostile) await bus.publish(name, sample({ data: name }));
    await bus.publish("orders", sample({ data: "last" }));
    await bus.publish("orders.eu", sample({ data: "last" }));
    equal(data(await take(victim, 1)), ["last"]);
    equal(data(await take(nested, 1)), ["last"]);
    for (const [at, subscription] of own.entries()) {
      equal(data(await take(subscription, 1)), [hostile[at]]);
      equal(subscription.queued, 0);
    }
  });

  test("* in a pattern matches one token, > one or more", async (bus) => {
    const names = ["a", "a.b", "a.c", "a.b.c", "b.b", "x.a.b"];
    const patterns: Record<string, string[]> = {
      "a.*": ["a.b", "a.c"],
      "*": ["a"],
      "*.b": ["a.b", "b.b"],
      "a.>": ["a.b", "a.c", "a.b.c"],
      "*.b.>": ["a.b.c"],
      ">": names,
    };
    const subscriptions = Object.keys(patterns).map((pattern) => bus.subscribe(pattern));
    for (const name of names) await bus.publish(name, sample({ data: name }));
    for (const [at, expected] of Object.values(patterns).entries()) {
      equal(data(await take(subscriptions[at]!, expected.length)), expected);
      equal(subscriptions[at]!.queued, 0);
    }
  });

  test("eventTypes and actorPattern leave out the rest", async (bus) => {
    const cases: [SubscribeOptions, number[]][] = [
      [{ eventTypes: ["A"] }, [1, 3]],
      [{ eventTypes: ["A", "B", "A"] }, [1, 2, 3, 4]],
      [{ actorPattern: "order-1" }, [1, 2]],
      [{ actorPattern: "order-*" }, [1, 2, 3, 4]],
      [{ actorPattern: "*-1" }, [1, 2, 5]],
      [{ actorPattern: "o*r-*2" }, [3, 4]],
      [{ actorPattern: "user.>" }, [6]],
      [{ actorPattern: ">" }, [1, 2, 3, 4, 5, 6]],
      [{ actorPattern: "order-*", exact: true }, []],
      [{ actorPattern: "order-2", eventTypes: ["B", "C"] }, [4]],
    ];
    const subscriptions = cases.map(([options]) => bus.subscribe("orders", options));
    const all = ["A order-1", "B order-1", "A order-2", "B order-2", "C item-1", "C user.7"];
    for (const [at, each] of all.entries()) {
      const [eventType, actorId] = each.split(" ") as [string, string];
      await bus.publish("orders", sample({ eventType, actorId, version: at + 1 }));
    }
    for (const [at, [options, expected]] of cases.entries()) {
      const got = versions(await take(subscriptions[at]!, expected.length));
      equal(got, expected, JSON.stringify(options));
      equal(subscriptions[at]!.queued, 0, JSON.stringify(options));
    }
  });
}

/** No subscriber can alter another one's copy. */
export function copies(test: BusTest): void {
  test("changes that a publisher or a subscriber makes to an event reach no other copy", async (bus) => {
    const [first, second] = [bus.subscribe("orders"), bus.subscribe("orders")];
    const event = sample({ data: { lines: [{ sku: "a" }] }, metadata: { userId: "u" } });
    const original = structuredClone(event);
    await bus.publish("orders", event);
    (event.data as { lines: unknown[] }).lines.push("more");
    event.timestamp.setTime(0);
    const [mine] = await take(first, 1) as [Event<string, { lines: { sku: string }[] }>];
    const attempts = [
      () => mine.data.lines.pop(),
      () => mine.data.lines[0]!.sku = "b",
      () => (mine.metadata as Record<string, string>).userId = "v",
      () => (mine as { version: number }).version = 9,
      () => mine.timestamp.setTime(1),
    ];
    for (const attempt of attempts) {
      try {
        attempt();
      } catch {
        // Refusing is as good as ignoring.
      }
    }
    equal((await take(second, 1))[0], original);
  });
}

/** Refusals, before anything is sent. */
export function refusals(test: BusTest): void {
  test("publish() refuses an invalid namespace", async (bus) => {
    for (const name of ["", ".", "a.", ".a", "a..b", "\ud800", "a".repeat(97), "ä".repeat(40)]) {
      await fails(bus.publish(name, sample()), "RangeError");
    }
    await fails(bus.publish(7 as unknown as string, sample()), "TypeError");
  });

  test("publish() refuses events that JSON would change", async (bus) => {
    for (const value of [undefined, NaN, 1n, new Date(), new Map(), [undefined], () => 1]) {
      await fails(bus.publish("orders", sample({ data: { value: [value] } })), "InvalidEventError");
    }
    await fails(bus.publish("orders", sample({ actorId: "" })), "InvalidEventError");
    await fails(bus.publish("orders", sample({ version: 0 })), "InvalidEventError");
    const large = sample({ data: "x".repeat(1024 * 1024) });
    await fails(bus.publish("orders", large), "EventTooLargeError");
    equal(bus.metrics.published, 0);
  });

  test("subscribe() refuses an invalid pattern or option", async (bus) => {
    const slips: [string, SubscribeOptions][] = [
      ["", {}],
      ["a..b", {}],
      ["a.>.b", {}],
      ["\udc00", {}],
      ["a", { eventTypes: [] }],
      ["a", { eventTypes: [""] }],
      ["a", { actorPattern: "" }],
      ["a", { capacity: 0 }],
      ["a", { capacity: 1.5 }],
      ["a", { overflow: "none" as "error" }],
      ["a", { queue: "" }],
    ];
    for (const [pattern, options] of slips) {
      await fails(() => bus.subscribe(pattern, options), "RangeError");
    }
    await fails(() => bus.subscribe(undefined as unknown as string), "TypeError");
    equal(bus.metrics.activeSubscriptions, 0);
  });
}
