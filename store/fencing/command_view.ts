import type { Event } from "../event.ts";
import type { InnerSaveOptions } from "../format/save_options.ts";
import { ForwardingEventStore } from "../forwarding_store.ts";
import type { SaveOptions, SaveReceipt } from "../options.ts";
import type { EventStore } from "../store.ts";

/** A view of a store whose saves say which command they are the outcome of. */
export class CommandView extends ForwardingEventStore {
  readonly #command: string;

  /** Disposing of it leaves `store` open. */
  constructor(store: EventStore, command: string) {
    super(store);
    this.#command = command;
  }

  /** See {@linkcode EventStore.saveEvents}. */
  override saveEvents(events: readonly Event[], options?: SaveOptions): Promise<SaveReceipt> {
    const inner: InnerSaveOptions = { ...options, command: this.#command };
    return super.saveEvents(events, inner);
  }
}
