import type { Event } from "../../store/event.ts";
import {
  InMemoryEventStore,
  type InMemoryEventStoreOptions,
} from "../../store/memory/event_store.ts";
import type { EventStore } from "../../store/store.ts";
import type { Upcaster } from "../../store/upcast.ts";

/** Makes a store in memory. */
export type Make = (options: InMemoryEventStoreOptions) => EventStore;

/**
 * Stores in memory as a process has them that is deployed again over the same events: the newest
 * one's upcasters count for all that were opened in its namespace.
 */
export function redeployed(make: Make = (options) => new InMemoryEventStore(options)): Make {
  const known = new Map<string, { store: EventStore; upcasters: Record<string, Upcaster[]> }>();
  return ({ namespace = "default", upcasters = {}, ...options }) => {
    let entry = known.get(namespace);
    if (entry === undefined) {
      const own = {};
      entry = { store: make({ ...options, namespace, upcasters: own }), upcasters: own };
      known.set(namespace, entry);
    }
    for (const eventType of Object.keys(entry.upcasters)) delete entry.upcasters[eventType];
    Object.assign(entry.upcasters, upcasters);
    return entry.store;
  };
}

/** The events of `iterable`, changed. */
export async function* mapped<E extends Event>(
  iterable: AsyncIterable<E>,
  change: (event: E, at: number) => E | undefined,
): AsyncGenerator<E, void> {
  let at = 0;
  for await (const event of iterable) {
    const changed = change(event, at++);
    if (changed !== undefined) yield changed;
  }
}
