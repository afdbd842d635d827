import type { EventBus, EventBusOptions, Subscription } from "../../bus/bus.ts";
import { createEvent, type Event } from "../../store/event.ts";
import { equal, within } from "../assert.ts";

/** Registers one test; `peer` is `bus` if there is one node only. */
export type BusTest = (
  name: string,
  run: (bus: EventBus, peer: EventBus) => Promise<void>,
  options?: EventBusOptions,
) => void;

/** The mark of events that only find out whether a subscription is known everywhere. */
export const PROBE = "probe";

/**
 * Resolves when events that `from` publishes reach `to`: over several servers that takes a moment.
 */
export async function reach(
  from: EventBus,
  to: Subscription,
  namespace: string,
  init: Partial<Event> = {},
): Promise<void> {
  await to.ready;
  const arrived = take(to, 1);
  let waiting = true;
  arrived.finally(() => waiting = false).catch(() => {});
  while (waiting) {
    await from.publish(namespace, sample({ ...init, data: PROBE }));
    await new Promise((resolve) => setTimeout(resolve, 5)); // lets the network have its turn
  }
  await arrived;
}

/** The next `count` events that are no probes. */
export async function takeReal(subscription: Subscription, count: number): Promise<Event[]> {
  const events: Event[] = [];
  while (events.length < count) {
    const [event] = await take(subscription, 1);
    if (event!.data !== PROBE) events.push(event!);
  }
  return events;
}

/** The next `count` events; rejects if they do not come. */
export async function take(subscription: Subscription, count: number): Promise<Event[]> {
  const iterator = subscription[Symbol.asyncIterator]();
  const events: Event[] = [];
  while (events.length < count) {
    const { done, value } = await within(iterator.next(), `event ${events.length + 1} of ${count}`);
    if (done) throw new Error(`The subscription ended after ${events.length} of ${count} events`);
    events.push(value);
  }
  return events;
}

/** The events that several subscriptions get together, up to `count`: the versions, for each. */
export async function collect(subscriptions: Subscription[], count: number): Promise<number[][]> {
  const all = Promise.withResolvers<void>();
  let missing = count;
  const got = subscriptions.map(() => [] as number[]);
  for (const [at, subscription] of subscriptions.entries()) {
    (async () => {
      for await (const { version, data } of subscription) {
        if (data === PROBE) continue;
        got[at]!.push(version);
        if (--missing === 0) all.resolve();
      }
    })().catch(all.reject);
  }
  await within(all.promise, `${count} events`);
  return got;
}

/** All events that are still to come, until the subscription ends. */
export async function rest(subscription: Subscription): Promise<Event[]> {
  const events: Event[] = [];
  const all = (async () => {
    for await (const event of subscription) events.push(event);
  })();
  await within(all, "the end");
  return events;
}

/** An event, with the test's own fields. */
export function sample(init: Partial<Event> = {}): Event {
  const event = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: null, ...init };
  return createEvent(event);
}

/** Their versions. */
export function versions(events: readonly Event[]): number[] {
  return events.map(({ version }) => version);
}

/** Their data. */
export function data(events: readonly Event[]): unknown[] {
  return events.map((event) => event.data);
}

/** Passes if `action` fails with an error of this name. */
export async function fails(
  action: Promise<unknown> | (() => unknown),
  name: string,
): Promise<void> {
  try {
    await (typeof action === "function" ? action() : action);
  } catch (error) {
    return equal((error as Error).name, name, String(error));
  }
  throw new Error(`Expected ${name}, and nothing was thrown`);
}
