import { createEvent, type Event, type EventInit } from "./event.ts";
import type { SaveReceipt } from "./options.ts";
import type { EventStore } from "./store.ts";

/** An event before it has a place: what {@linkcode appendEvents} numbers. */
export type EventDraft<E extends Event = Event> = E extends Event ?
    & Pick<E, "eventType" | "data" | "metadata">
    /** Give one to make repeated appends recognisable; otherwise each has a fresh id. */
    & { readonly id?: string }
  : never;

/** What {@linkcode appendEvents} gives back. */
export interface AppendReceipt<E extends Event = Event> extends SaveReceipt {
  /** The actor's version after the append. */
  readonly version: number;
  /** The events as they were saved. */
  readonly events: readonly E[];
}

/**
 * Saves `drafts` as the next events of one actor, all or none, if the actor is at
 * `expectedVersion` exactly: nothing of its history can be skipped unread.
 *
 * @param store Where to.
 * @param actorId Whose history.
 * @param expectedVersion The version that the decision was based on; 0 for a new actor.
 * @param drafts The events, in order; they get the versions after `expectedVersion`.
 * @throws {VersionConflictError} The actor is at another version.
 * @throws {RangeError} `expectedVersion` is no version, or there are no drafts.
 *
 * @example A new order, in one commit
 * ```ts
 * import { appendEvents, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * await using store = new InMemoryEventStore();
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
  if (!Number.isSafeInteger(expectedVersion) || expectedVersion < 0) {
    throw new RangeError(
      `Cannot append after version ${expectedVersion}: a safe integer of 0 or more is needed`,
    );
  }
  const events = drafts.map(({ id, ...draft }, at) => {
    const event = createEvent(
      { ...draft, actorId, version: expectedVersion + at + 1 } as EventInit,
    );
    return (id === undefined ? event : { ...event, id }) as E;
  });
  const expect = [{ actorId, version: expectedVersion }];
  const receipt = await store.saveEvents(events, { expect });
  return { ...receipt, version: expectedVersion + events.length, events };
}
