import type { Event, RecordedEvent } from "../../store/event.ts";
import type { ReadAllOptions } from "../../store/options.ts";
import type { EventStore, EventSubscription } from "../../store/store.ts";
import { equal, ok, within } from "../assert.ts";

/** The next event; an error if the subscription ends or no event comes. */
export async function next(subscription: EventSubscription): Promise<RecordedEvent> {
  const { value, done } = await within(iterator(subscription).next(), "the next event");
  ok(!done, "the subscription goes on");
  return value;
}

/** The next `count` events. */
export async function take(
  subscription: EventSubscription,
  count: number,
): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  while (events.length < count) events.push(await next(subscription));
  return events;
}

/** The first `count` events that come to a new subscription, which it ends. */
export async function subscribed(
  store: EventStore,
  options: ReadAllOptions,
  count: number,
): Promise<RecordedEvent[]> {
  const subscription = store.subscribe(options);
  try {
    return await take(subscription, count);
  } finally {
    await subscription[Symbol.asyncDispose]();
  }
}

/** Passes if the subscription has ended, without an error. */
export async function ended(subscription: EventSubscription): Promise<void> {
  const { done } = await within(iterator(subscription).next(), "the end of the subscription");
  equal(done, true, "done");
}

/** The iterator of a subscription. */
export function iterator(
  subscription: EventSubscription,
): AsyncIterator<RecordedEvent, undefined> {
  return subscription[Symbol.asyncIterator]();
}

/** All events of a store, or those that `options` pick. */
export async function all(store: EventStore, options?: ReadAllOptions): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for await (const event of store.readAll(options)) events.push(event);
  return events;
}

/** Actor and version of each event. */
export function places(events: readonly Event[]): [string, number][] {
  return events.map(({ actorId, version }) => [actorId, version]);
}

/** Saves `events` one by one; returns their sequences. */
export async function saveEach(store: EventStore, events: readonly Event[]): Promise<number[]> {
  const sequences: number[] = [];
  for (const event of events) sequences.push((await store.saveEvent(event)).sequence);
  return sequences;
}
