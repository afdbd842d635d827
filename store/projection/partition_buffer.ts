import { Notifier } from "../base/notifier.ts";
import type { Arrival, EventFacts } from "./arrival.ts";
import type { Event } from "../event.ts";

/** How often the position is saved while no event is wanted, in ms. */
export const SIGHT = 1_000;

/** The position of a reading that several partitions share. */
export interface SharedPosition {
  /** The last event read, of any partition. */
  last: SeenEvent | undefined;
}

/** An event that was read, or passed without a look at its content. */
export type SeenEvent = Pick<EventFacts, "sequence" | "id" | "actorId">;

/** The next work of a partition. */
export interface HandlerBatch<E extends Event> {
  /** Events to handle, in order. */
  readonly events: readonly Arrival<E>[];
  /** The last event that was read, wanted or not: there are no others up to it. */
  readonly seen: SeenEvent | undefined;
}

/** The events that wait in one partition; those that wait together are handled together. */
export class PartitionBuffer<E extends Event> {
  /** The partition. */
  readonly partition: number;
  readonly #size: number;
  readonly #changed = new Notifier();
  #events: Arrival<E>[] = [];
  /** The sequence up to which it knows all events. */
  #position: number;
  #seen: SeenEvent | undefined;
  #shared: SharedPosition | undefined;
  #given = 0;
  #taken = 0;
  /** How many events have to be taken until it has caught up, if that is known. */
  #goal: number | undefined;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  /** Begins after sequence `after`; gives out `size` events at once. */
  constructor(partition: number, after: number, size: number) {
    this.partition = partition;
    this.#position = after;
    this.#size = size;
  }

  /** The last sequence that it knows of, or the one that it began after. */
  get position(): number {
    return Math.max(this.#position, this.#shared?.last?.sequence ?? 0);
  }

  /** The shared reading that it gets its events from, after its own position. */
  set shared(shared: SharedPosition | undefined) {
    if (this.#shared?.last !== undefined) this.show(this.#shared.last);
    this.#shared = shared;
  }

  /** Whether the reader should pause. */
  get full(): boolean {
    return this.#events.length >= 2 * this.#size;
  }

  /** Whether the partition takes no more from it. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether the partition has taken all events that were stored when the reading began. */
  get caughtUp(): boolean {
    return this.#goal !== undefined && this.#taken >= this.#goal;
  }

  /** Adds the next event of the partition. */
  give(event: Arrival<E>): void {
    if (event.sequence <= this.#position) return;
    this.show(event);
    this.#events.push(event);
    this.#given++;
    this.#changed.notify();
  }

  /** Notes an event of any partition as read. */
  show(event: SeenEvent): void {
    if (event.sequence <= this.#position) return;
    this.#position = event.sequence;
    this.#seen = event;
  }

  /** Notes that it holds all events that were stored when the reading began. */
  reach(): void {
    this.#goal ??= this.#given;
    this.#changed.notify();
  }

  /** Notes that the reading has failed with `error`. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#changed.notify();
  }

  /** Notes that the partition takes no more from it. */
  end(): void {
    this.#ended = true;
    this.#changed.notify();
  }

  /** Makes `take` check again whether to wake. */
  poke(): void {
    this.#changed.notify();
  }

  /** Resolves when it is not full, has ended, or after `ms`. */
  async room(ms?: number): Promise<void> {
    const deadline = performance.now() + (ms ?? Infinity);
    while (this.full && !this.#ended && performance.now() < deadline) await this.#changed.wait(ms);
  }

  /**
   * The events that wait; resolves when there are any, when `wake` returns true, or when `signal` is
   * aborted: then there may be none. Throws the error that the reading has failed with.
   */
  async take(wake: () => boolean, signal: AbortSignal): Promise<HandlerBatch<E>> {
    while (this.#events.length === 0 && !wake() && !signal.aborted) {
      if (this.#failure !== undefined) throw this.#failure.error;
      await this.#changed.wait(Infinity, signal);
    }
    const events = this.#events.splice(0, this.#size);
    for (const [at, event] of events.entries()) {
      event.isReplay = this.#goal === undefined || this.#taken + at < this.#goal;
    }
    this.#taken += events.length;
    this.#changed.notify();
    if (this.#events.length > 0) return { events, seen: events.at(-1) };
    if (this.#shared?.last !== undefined) this.show(this.#shared.last);
    return { events, seen: this.#seen };
  }
}
