import type { EventStore } from "./store.ts";

const origins = new WeakMap<EventStore, EventStore>();

/** Says that `view` shows the same events as `store`, so that both may share what is kept of them. */
export function shareCaches<View extends EventStore>(view: View, store: EventStore): View {
  origins.set(view, cacheOwnerOf(store));
  return view;
}

/** The store behind a view; a store that is no view is its own. */
export function cacheOwnerOf(store: EventStore): EventStore {
  return origins.get(store) ?? store;
}
