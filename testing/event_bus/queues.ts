import type { EventBus } from "../../bus/bus.ts";
import { equal } from "../assert.ts";
import { type BusTest, fails, rest, sample, take, versions } from "./kit.ts";

/** The losses of a slow subscriber, and of no other. */
export function overflow(test: BusTest): void {
  const publish = async (bus: EventBus, from: number, to: number): Promise<void> => {
    for (let version = from; version <= to; version++) {
      await bus.publish("orders", sample({ version }));
    }
  };

  test("a full queue drops the oldest, and a neighbour loses nothing", async (bus) => {
    const slow = bus.subscribe("orders", { capacity: 3 });
    const neighbour = bus.subscribe("orders");
    await publish(bus, 1, 10);
    equal(versions(await take(neighbour, 10)), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    equal(slow.dropped, 7);
    equal(versions(await take(slow, 3)), [8, 9, 10]);
    equal(bus.metrics.dropped, 7);
  }, { onDrop: () => {} });

  test('a full queue drops the newest under "drop-newest"', async (bus) => {
    const slow = bus.subscribe("orders", { capacity: 3, overflow: "drop-newest" });
    await publish(bus, 1, 10);
    equal(slow.dropped, 7);
    equal(versions(await take(slow, 3)), [1, 2, 3]);
  }, { onDrop: () => {} });

  test('a full queue ends the subscription under "error", after what is queued', async (bus) => {
    const slow = bus.subscribe("orders", { capacity: 3, overflow: "error" });
    await publish(bus, 1, 10);
    equal(versions(await take(slow, 3)), [1, 2, 3]);
    await fails(take(slow, 1), "SubscriptionOverflowError");
    equal(bus.metrics.activeSubscriptions, 0);
  });

  const reports: number[] = [];
  test("drops are reported once a burst", async (bus) => {
    const slow = bus.subscribe("orders", { capacity: 2 });
    await publish(bus, 1, 10);
    equal(reports, [1]);
    const iterator = slow[Symbol.asyncIterator]();
    await iterator.next();
    await publish(bus, 11, 12); // it has not caught up: the same burst
    for (const expected of [11, 12]) equal((await iterator.next()).value?.version, expected);
    const caughtUp = iterator.next();
    await publish(bus, 13, 16);
    equal((await caughtUp).value?.version, 13);
    equal(reports, [1, 10]);
    equal(slow.dropped, 10);
  }, { onDrop: ({ dropped }) => void reports.push(dropped) });
}

/** How subscriptions end. */
export function endings(test: BusTest): void {
  test("a loop ends on break, and so does the subscription", async (bus) => {
    const subscription = bus.subscribe("orders");
    await bus.publish("orders", sample());
    await bus.publish("orders", sample());
    for await (const _event of subscription) break;
    equal(bus.metrics.activeSubscriptions, 0);
    equal(await rest(subscription), []);
  });

  test("a loop ends on the signal, whether it waits or has not begun", async (bus) => {
    const controller = new AbortController();
    const waiting = rest(bus.subscribe("orders", { signal: controller.signal }));
    const queued = bus.subscribe("billing", { signal: controller.signal });
    await bus.publish("billing", sample());
    controller.abort();
    equal(await waiting, []);
    equal(await rest(queued), []);
    equal(await rest(bus.subscribe("orders", { signal: controller.signal })), []);
    equal(bus.metrics.activeSubscriptions, 0);
  });

  test("a loop ends on disposal of the subscription, which may be repeated", async (bus) => {
    const subscription = bus.subscribe("orders");
    const waiting = rest(subscription);
    await subscription[Symbol.asyncDispose]();
    await subscription[Symbol.asyncDispose]();
    equal(await waiting, []);
  });

  test("on disposal of the bus a loop ends after the queued events", async (bus) => {
    const subscription = bus.subscribe("orders");
    await bus.publish("orders", sample({ version: 1 }));
    await bus.publish("orders", sample({ version: 2 }));
    await bus[Symbol.asyncDispose]();
    await bus[Symbol.asyncDispose]();
    equal(versions(await rest(subscription)), [1, 2]);
    equal(bus.metrics.activeSubscriptions, 0);
    await fails(bus.publish("orders", sample()), "TypeError");
    await fails(() => bus.subscribe("orders"), "TypeError");
  });
}
