import { type Arrival, arrived, isUnreadable, unreadableArrival } from "./arrival.ts";
import { CorruptEventError } from "../errors.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import { isCodecWaiting } from "../format/decode.ts";
import { isLoss } from "../read/losses.ts";
import type { Event } from "../event.ts";
import type { EventFilter } from "../options.ts";
import type { EventStore, EventSubscription } from "../store.ts";
import { type PassedEvent, watchPassed } from "../subscription.ts";

/** Waits between tries while the codec cannot decode, in ms. */
const WAITS = [100, 10_000] as const;

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
  /** Called when the store's codec cannot decode for now; the reading tries again. */
  readonly onWaiting: (error: unknown) => void;
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
  readonly #end = new AbortController();
  #ended = false;
  /** Where to go on. */
  #from = 0;

  /** Reads nothing yet. */
  constructor(parts: ReadingParts<E>) {
    this.#parts = parts;
  }

  /**
   * Reads from position `from` on. Resolves when it was ended, or the store is disposed. While the
   * codec cannot decode, because a key store is out of reach, it waits.
   *
   * @throws {CorruptEventError} A message that belongs to no actor has come.
   */
  async run(from: number): Promise<void> {
    this.#from = from;
    let nextWait = jitteredWaits(...WAITS);
    for (let tried = from; !this.#ended; tried = this.#from) {
      try {
        return await this.#follow(this.#from);
      } catch (error) {
        if (!this.#ended && isCodecWaiting(error)) {
          if (this.#from > tried) nextWait = jitteredWaits(...WAITS);
          this.#parts.onWaiting(error);
          await sleep(nextWait(), this.#end.signal);
          continue;
        }
        if (this.#ended || !isUnreadable(error) || error.sequence < this.#from) throw error;
        const arrival = unreadableArrival<E>(error);
        if (arrival !== undefined) await this.#parts.onArrival(arrival);
        else if (isLoss(error)) throw error;
        else if (!this.#parts.isSkipped(error.sequence)) throw foreign(error);
        this.#from = error.sequence + 1;
      }
    }
  }

  async #follow(from: number): Promise<void> {
    const { store, filter, onArrival, onPassed, onCaughtUp } = this.#parts;
    const subscription = this.#subscription = store.subscribe<E>({ from, filter });
    watchPassed(subscription, (event) => {
      this.#from = event.sequence + 1;
      onPassed(event);
    });
    subscription.caughtUp.then(onCaughtUp, () => {});
    for await (const event of subscription) {
      const turn = onArrival(arrived(event));
      this.#from = event.sequence + 1;
      if (turn !== undefined) await turn;
      if (this.#ended) return;
    }
  }

  /** Ends it after the event at hand. */
  stop(): void {
    this.#ended = true;
    this.#end.abort();
  }

  /** Ends it, and frees what it holds. */
  async end(): Promise<void> {
    this.stop();
    await this.#subscription?.[Symbol.asyncDispose]();
  }
}

function foreign(error: Error & { readonly sequence: number }): CorruptEventError {
  const reason = "it belongs to no actor, so something else wrote it; revoke that writer's " +
    `permission, then pass over it by skip(${error.sequence}) of the projection: ${error.message}`;
  return new CorruptEventError(error.sequence, reason, { cause: error });
}
