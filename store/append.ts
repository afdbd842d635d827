import { given, needMethods, needObject, needString } from "./base/given.ts";
import { createEvent, type Event, type EventInit } from "./event.ts";
import { eventRulesOf, ruled } from "./event_rules.ts";
import type { SaveReceipt } from "./options.ts";
import type { EventStore } from "./store.ts";

/** An event without a version yet: {@linkcode appendEvents} numbers it. */
export type EventDraft<E extends Event = Event> = E extends Event ?
    & Pick<E, "eventType" | "data" | "metadata">
    /**
     * Give one so that a repeated append at the same version is recognised, and one at the next
     * version refused while it follows at once; otherwise each call makes a fresh id.
     */
    & { readonly id?: string }
  : never;

/** The result of {@linkcode appendEvents}. */
export interface AppendReceipt<E extends Event = Event> extends SaveReceipt {
  /** The actor's version after the append. */
  readonly version: number;
  /** The events as they were saved. */
  readonly events: readonly E[];
}

/**
 * Saves `drafts` as the next events of one actor, all or none, if the actor is at
 * `expectedVersion` exactly, so that the caller cannot skip a part of its history unread.
 *
 * @param store The store to save to.
 * @param actorId The actor whose history grows.
 * @param expectedVersion The version that the decision was based on; 0 for a new actor.
 * @param drafts The events, in order; they get the versions after `expectedVersion`.
 * @throws {TypeError} An argument is of another kind, or in another's place.
 * @throws {VersionConflictError} The actor is at another version.
 * @throws {RangeError} `expectedVersion` is not a version, or there are no drafts.
 *
 * @example A new order, in one commit
 * ```ts
 * import { appendEvents, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * const { version } = await appendEvents(store, "order-123", 0, [
 *   { eventType: "OrderPlaced", data: { total: 99.99 } },
 *   { eventType: "OrderPaid", data: { method: "card" } },
 * ]);
 * console.log(version); // 2
 * ```
 */
export async function appendEvents<E extends Event = Event>(
  store: EventStore,
  actorId: string,
  expectedVersion: number,
  drafts: readonly EventDraft<E>[],
): Promise<AppendReceipt<E>> {
  const what = "append events";
  needMethods(store, ["saveEvents"], what, "store", "an EventStore");
  needString(actorId, what, "actorId, the second argument,");
  if (typeof expectedVersion !== "number") {
    const is = given(expectedVersion);
    throw new TypeError(
      `Cannot ${what}: expectedVersion, the third argument, is ${is}, not a number`,
    );
  }
  if (!Array.isArray(drafts)) {
    throw new TypeError(`Cannot ${what}: drafts is ${given(drafts)}, not an array`);
  }
  for (const draft of drafts) needObject(draft, what, "a draft");
  if (!Number.isSafeInteger(expectedVersion) || expectedVersion < 0) {
    throw new RangeError(
      `Cannot append after version ${expectedVersion}: a safe integer of 0 or more is needed`,
    );
  }
  const rules = eventRulesOf(store);
  const events = drafts.map(({ id, ...draft }, at) => {
    const init = { ...draft, actorId, version: expectedVersion + at + 1 } as EventInit;
    const event = createEvent(ruled(init, rules));
    return (id === undefined ? event : { ...event, id }) as E;
  });
  const expect = [{ actorId, version: expectedVersion }];
  const receipt = await store.saveEvents(events, { expect });
  return { ...receipt, version: expectedVersion + events.length, events };
}
