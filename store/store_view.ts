import type { EventStore } from "./store.ts";

const owners = new WeakMap<EventStore, EventStore>();

/** Records that `view` shows the same events as `store`, so that both share cached states. */
export function shareCaches<View extends EventStore>(view: View, store: EventStore): View {
  owners.set(view, cacheOwnerOf(store));
  return view;
}

/** The store behind a view; any other store is its own. */
export function cacheOwnerOf(store: EventStore): EventStore {
  return owners.get(store) ?? store;
}
