import { type Arrival, arrived, isUnreadable, unreadableArrival } from "./arrival.ts";
import { CorruptEventError } from "../errors.ts";
import { isLoss } from "../read/losses.ts";
import type { Event } from "../event.ts";
import type { EventFilter } from "../options.ts";
import type { EventStore, EventSubscription } from "../store.ts";
import { type PassedEvent, watchPassed } from "../subscription.ts";

/** The parts of a {@linkcode Reading}. */
export interface ReadingParts<E extends Event> {
  readonly store: EventStore;
  readonly filter: EventFilter;
  /** Whether a message that belongs to no actor is to be passed over. */
  readonly isSkipped: (sequence: number) => boolean;
  /** Called with each event; the next one waits for the promise. */
  readonly onArrival: (arrival: Arrival<E>) => Promise<void> | undefined;
  /** Called with each event that the filter leaves out. */
  readonly onPassed: (event: PassedEvent) => void;
  /** Called when all events have come that were stored when it began. */
  readonly onCaughtUp: () => void;
}

/**
 * The events of a store from one position on, those that cannot be read among them: by as many
 * subscriptions as that takes, because each ends at such an event.
 */
export class Reading<E extends Event> {
  readonly #parts: ReadingParts<E>;
  #subscription: EventSubscription<E> | undefined;
  #ended = false;

  /** Reads nothing yet. */
  constructor(parts: ReadingParts<E>) {
    this.#parts = parts;
  }

  /**
   * Reads from position `from` on. Resolves when it was ended, or the store is disposed.
   *
   * @throws {CorruptEventError} A message that belongs to no actor has come.
   */
  async run(from: number): Promise<void> {
    while (!this.#ended) {
      try {
        return await this.#follow(from);
      } catch (error) {
        if (this.#ended || !isUnreadable(error) || error.sequence < from) throw error;
        const arrival = unreadableArrival<E>(error);
        if (arrival !== undefined) await this.#parts.onArrival(arrival);
        else if (isLoss(error)) throw error;
        else if (!this.#parts.isSkipped(error.sequence)) throw foreign(error);
        from = error.sequence + 1;
      }
    }
  }

  async #follow(from: number): Promise<void> {
    const { store, filter, onArrival, onPassed, onCaughtUp } = this.#parts;
    const subscription = this.#subscription = store.subscribe<E>({ from, filter });
    watchPassed(subscription, onPassed);
    subscription.caughtUp.then(onCaughtUp, () => {});
    for await (const event of subscription) {
      const turn = onArrival(arrived(event));
      if (turn !== undefined) await turn;
      if (this.#ended) return;
    }
  }

  /** Ends it after the event at hand. */
  stop(): void {
    this.#ended = true;
  }

  /** Ends it, and frees what it holds. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#subscription?.[Symbol.asyncDispose]();
  }
}

function foreign(error: Error & { readonly sequence: number }): CorruptEventError {
  const reason = "it belongs to no actor, so something else wrote it; revoke that writer's " +
    `permission, then pass over it by skip(${error.sequence}) of the projection: ${error.message}`;
  return new CorruptEventError(error.sequence, reason, { cause: error });
}
