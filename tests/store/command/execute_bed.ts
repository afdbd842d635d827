import {
  appendEvents,
  type Event,
  type EventStore,
  InMemoryEventStore,
} from "../../../store/mod.ts";
import type { CounterEvent } from "../../support/counter.ts";

/** The actor of all commands. */
export const ACTOR = "counter-1";

/** A store on which a test can see saves and reads, and change how they end. */
export class Spied extends InMemoryEventStore {
  /** The events of each save. */
  readonly saves: (readonly Event[])[] = [];
  reads = 0;
  /** Stands in for a save; `save` does what it would have done. */
  onSave: (save: () => ReturnType<EventStore["saveEvents"]>) => ReturnType<
    EventStore["saveEvents"]
  > = (save) => save();

  override saveEvents(...args: Parameters<EventStore["saveEvents"]>) {
    this.saves.push(args[0]);
    return this.onSave(() => super.saveEvents(...args));
  }

  override readEvents<E extends Event = Event>(
    ...args: Parameters<EventStore["readEvents"]>
  ): AsyncIterable<E> {
    this.reads++;
    return super.readEvents<E>(...args);
  }
}

/** Somebody else's event, past `execute`. */
export async function meanwhile(store: EventStore, by = 1): Promise<void> {
  const version = await store.getLatestVersion(ACTOR);
  const data = { by, command: "other" };
  await appendEvents<CounterEvent>(store, ACTOR, version, [{ eventType: "Added", data }]);
}
