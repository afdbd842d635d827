import { categoryOf } from "../actor.ts";
import { unlessAborted } from "../base/abort.ts";
import { freshCopy } from "../base/fresh.ts";
import { refusePromise } from "../base/hook.ts";
import { tokenProblem } from "../base/token.ts";
import { rehydrate } from "../command/rehydrate.ts";
import type { Event, RecordedEvent } from "../event.ts";
import type { EventFilter } from "../options.ts";
import { readArrivals } from "../projection/arrival.ts";
import type { EventStore } from "../store.ts";
import type { Intake } from "./intake.ts";
import { ledger, type LedgerChange, type ParkedAt, retryStart } from "./ledger.ts";
import type { Process } from "./process.ts";

/** The parts of a {@linkcode Delivery}. */
export interface DeliveryParts<State, Input extends Event> {
  readonly store: EventStore;
  readonly filter: EventFilter;
  /** The category of the processes' histories. */
  readonly category: string;
  readonly process: Pick<Process<State, Input>, "correlate">;
  readonly intake: Intake<State, Input>;
  /** Whether the event of an actor waits to be delivered, with all later ones of the actor. */
  readonly isWaiting: (actorId: string, sequence: number) => Promise<boolean>;
  readonly onError: (error: unknown, event?: RecordedEvent) => void;
}

/** Gives events to the processes that they belong to: as they come, and again when one is retried. */
export class Delivery<State, Input extends Event> {
  readonly #parts: DeliveryParts<State, Input>;

  /** Gives nothing yet. */
  constructor(parts: DeliveryParts<State, Input>) {
    this.#parts = parts;
  }

  /** Gives an event to the process that it belongs to. */
  async deliver(event: Input & RecordedEvent, signal: AbortSignal): Promise<void> {
    const { category, intake } = this.#parts;
    if (categoryOf(event.actorId) === category) return;
    const id = this.#correlate(event);
    if (id !== undefined) await intake.takeEvent(id, event, signal);
  }

  /** Lets a parked process go on; true if it took all events that it has missed. */
  async retry(id: string, signal: AbortSignal): Promise<boolean> {
    const { store, category, intake } = this.#parts;
    for (;;) {
      const { state: { parked } } = await rehydrate(store, `${category}-${id}`, ledger);
      if (parked === undefined) return true;
      const next = await this.#takeMissed(parked, id, signal);
      if (next === undefined) return false;
      const { eventId, from, resuming } = parked;
      // It stays parked if an earlier event was held meanwhile, or another one failed.
      const change: LedgerChange = resuming
        ? { kind: "unpark", eventId, from: from! }
        // Events that came since were held, and are missed: it stays parked until it has those too.
        : { kind: "resume", eventId, from: next };
      await intake.change(id, change, signal);
    }
  }

  /** The process that an event belongs to, by the user's code. */
  #correlate(event: Input & RecordedEvent): string | undefined {
    const id: unknown = this.#parts.process.correlate(freshCopy(event));
    refusePromise(id, "correlate()");
    // An id may fit by itself, and not behind the category.
    const problem = id === undefined
      ? undefined
      : tokenProblem(id) ?? tokenProblem(`${this.#parts.category}-${id}`);
    if (problem === undefined) return id as string | undefined;
    throw new TypeError(`Cannot find the process of event "${event.id}": its id ${problem}`);
  }

  /**
   * Gives a parked process the events that it has missed; where to go on, if it has them all but those
   * that wait to be delivered. Those have to wait still when it takes events by itself again: so it
   * goes on at the first of them.
   */
  async #takeMissed(
    parked: ParkedAt,
    id: string,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { store, filter, category, intake, isWaiting, onError } = this.#parts;
    const from = retryStart(parked);
    let next = from;
    let firstWaiting: number | undefined;
    /** Actors with an event that cannot be read or correlated: what follows waits with it. */
    const waiting = new Set<string>();
    for await (const arrival of readArrivals<Input>(store, { from, filter, signal })) {
      const { sequence, actorId, event, failure } = arrival;
      next = sequence + 1;
      if (waiting.has(actorId) || categoryOf(actorId) === category) continue;
      let owner: string | undefined;
      try {
        if (event === undefined) throw failure!.error;
        owner = this.#correlate(event);
      } catch (error) {
        const isKept = await unlessAborted(signal, isWaiting(actorId, sequence));
        if (parked.resuming || !isKept) onError(error, event);
        if (!isKept) return undefined; // It may be the process's, and have been held.
        waiting.add(actorId);
        firstWaiting ??= sequence;
      }
      if (owner !== id) continue;
      // If another one fails, the next retry has to begin before those that wait.
      const retriedFrom = firstWaiting === undefined ? from : Infinity;
      if (await intake.takeEvent(id, event!, signal, retriedFrom) === "held") return undefined;
    }
    return firstWaiting ?? next;
  }
}
