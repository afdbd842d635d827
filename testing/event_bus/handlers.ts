import type { Event } from "../../store/event.ts";
import { equal, ok } from "../assert.ts";
import { type BusTest, collect, sample, take, versions } from "./kit.ts";

/** The handler form. */
export function handlers(test: BusTest): void {
  test("on() gives a handler one event at a time, with its namespace", async (bus) => {
    const seen: string[] = [];
    let running = 0;
    const { promise: done, resolve } = Promise.withResolvers<void>();
    bus.on("orders.*", async ({ version }, namespace) => {
      equal(++running, 1);
      await Promise.resolve();
      running--;
      if (seen.push(`${namespace} ${version}`) === 3) resolve();
    });
    for (const version of [1, 2, 3]) await bus.publish("orders.eu", sample({ version }));
    await done;
    equal(seen, ["orders.eu 1", "orders.eu 2", "orders.eu 3"]);
  });

  test("a handler's error goes to onError, and the next event follows", async (bus) => {
    const errors: unknown[] = [];
    const { promise: done, resolve } = Promise.withResolvers<void>();
    bus.on("orders", ({ version }) => {
      if (version < 3) throw new Error(`no ${version}`);
      resolve();
    }, {
      onError: (error, event) => void errors.push(`${(error as Error).message} ${event?.version}`),
    });
    for (const version of [1, 2, 3]) await bus.publish("orders", sample({ version }));
    await done;
    equal(errors, ["no 1 1", "no 2 2"]);
    equal(bus.metrics.errors, 2);
  });

  test("disposal waits for the handler; disposal of the bus also for queued events", async (bus) => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const [cut, drained]: number[][] = [[], []];
    const handler = (seen: number[]) => async ({ version }: Event) => {
      begun.resolve();
      await gate.promise;
      seen.push(version);
    };
    const first = bus.on("orders", handler(cut!));
    bus.on("orders", handler(drained!));
    for (const version of [1, 2, 3]) await bus.publish("orders", sample({ version }));
    await begun.promise;
    const disposals = [first[Symbol.asyncDispose](), bus[Symbol.asyncDispose]()];
    gate.resolve();
    await Promise.all(disposals);
    equal([cut, drained], [[1], [1, 2, 3]]);
  });
}

/** Queue groups. */
export function sharing(test: BusTest): void {
  test("a queue group shares the events, others get them all", async (bus) => {
    const members = [1, 2, 3].map(() => bus.subscribe("orders", { queue: "workers" }));
    const apart = bus.subscribe("orders", { queue: "auditors" });
    const single = bus.subscribe("orders");
    await Promise.all(members.map((member) => member.ready));
    const seen = collect(members, 30);
    for (let version = 1; version <= 30; version++) {
      await bus.publish("orders", sample({ version }));
    }
    const all = Array.from({ length: 30 }, (_, at) => at + 1);
    equal((await seen).flat().sort((a, b) => a - b), all);
    equal(versions(await take(apart, 30)), all);
    equal(versions(await take(single, 30)), all);
  });

  test("members of a group that want different actors do not take each other's events", async (bus) => {
    const [orders, items] = ["order-*", "item-*"].map((actorPattern) =>
      bus.subscribe("orders", { queue: "workers", actorPattern })
    );
    for (let version = 1; version <= 10; version++) {
      await bus.publish("orders", sample({ actorId: `order-${version}`, version }));
      await bus.publish("orders", sample({ actorId: `item-${version}`, version }));
    }
    const all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    equal(versions(await take(orders!, 10)), all);
    equal(versions(await take(items!, 10)), all);
  });
}

/** The metrics. */
export function counting(test: BusTest): void {
  test("metrics count events by namespace and event type", async (bus) => {
    const subscription = bus.subscribe(">");
    const other = bus.subscribe("orders", { eventTypes: ["A"] });
    await bus.publish("orders", sample({ eventType: "A" }));
    await bus.publish("orders", sample({ eventType: "B" }));
    await bus.publish("billing", sample({ eventType: "A" }));
    await take(subscription, 3);
    await take(other, 1);
    const { published, received, delivered, dropped, errors, latency, series, ...more } =
      bus.metrics;
    equal([published, received, delivered, dropped, errors], [3, 0, 4, 0, 0]);
    equal(more, { activeSubscriptions: 2, malformed: 0 });
    equal(latency.count, 4);
    ok(latency.total >= latency.max && latency.max > 0, "the latency is measured");
    equal(
      series.map((one) => [one.namespace, one.eventType, one.published, one.delivered]),
      [["orders", "A", 1, 2], ["orders", "B", 1, 1], ["billing", "A", 1, 1]],
    );
  });
}
