import { commandLogOf, keepCommandLog } from "./command_log.ts";
import type { Event, RecordedEvent } from "./event.ts";
import { eventRulesOf, keepEventRules } from "./event_rules.ts";
import type {
  EventSubscriptionOptions,
  LatestVersionOptions,
  ListActorsOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  SaveReceipt,
} from "./options.ts";
import type { EventStore, EventSubscription, EventsWithErrors } from "./store.ts";
import { keepSaveChecks, saveChecksOf } from "./save_check.ts";
import { shareCaches } from "./store_view.ts";

/**
 * A view of a store: passes every call on to it, and shares what is cached of it. A view of another
 * kind overrides what it does otherwise. Disposing of a view does nothing, as it does not own the
 * store.
 */
export class ForwardingEventStore implements EventStore {
  readonly #store: EventStore;

  /** A view of `store`. */
  constructor(store: EventStore) {
    this.#store = store;
    shareCaches(this, store);
    keepCommandLog(this, commandLogOf(store));
    keepEventRules(this, eventRulesOf(store));
    keepSaveChecks(this, saveChecksOf(store));
  }

  /** See {@linkcode EventStore.identity}. */
  get identity(): string {
    return this.#store.identity;
  }

  /** See {@linkcode EventStore.saveEvent}. */
  saveEvent(event: Event): Promise<SaveReceipt> {
    return this.saveEvents([event]);
  }

  /** See {@linkcode EventStore.saveEvents}. */
  saveEvents(events: readonly Event[], options?: SaveOptions): Promise<SaveReceipt> {
    return this.#store.saveEvents(events, options);
  }

  /** See {@linkcode EventStore.getEvents}. */
  getEvents<E extends Event = Event>(actorId: string, fromVersion?: number): Promise<E[]> {
    return this.#store.getEvents(actorId, fromVersion);
  }

  /** See {@linkcode EventStore.getEventsOf}. */
  getEventsOf<E extends Event = Event>(actorIds: readonly string[]): Promise<Map<string, E[]>> {
    return this.#store.getEventsOf(actorIds);
  }

  /** See {@linkcode EventStore.readEvents}. */
  readEvents<E extends Event = Event>(actorId: string, options?: ReadOptions): AsyncIterable<E> {
    return this.#store.readEvents(actorId, options);
  }

  /** See {@linkcode EventStore.getEventsWithErrors}. */
  getEventsWithErrors<E extends Event = Event>(actorId: string): Promise<EventsWithErrors<E>> {
    return this.#store.getEventsWithErrors(actorId);
  }

  /** See {@linkcode EventStore.getLatestVersion}. */
  getLatestVersion(actorId: string, options?: LatestVersionOptions): Promise<number> {
    return this.#store.getLatestVersion(actorId, options);
  }

  /** See {@linkcode EventStore.getLatestVersions}. */
  getLatestVersions(
    actorIds: readonly string[],
    options?: LatestVersionOptions,
  ): Promise<Map<string, number>> {
    return this.#store.getLatestVersions(actorIds, options);
  }

  /** See {@linkcode EventStore.readAll}. */
  readAll(options?: ReadAllOptions): AsyncIterable<RecordedEvent> {
    return this.#store.readAll(options);
  }

  /** See {@linkcode EventStore.listActors}. */
  listActors(options?: ListActorsOptions): AsyncIterable<string> {
    return this.#store.listActors(options);
  }

  /** See {@linkcode EventStore.subscribe}. */
  subscribe<E extends Event = Event>(options?: EventSubscriptionOptions): EventSubscription<E> {
    return this.#store.subscribe(options);
  }

  /** Does nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
