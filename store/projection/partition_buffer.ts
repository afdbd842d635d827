import { Notifier } from "../base/notifier.ts";
import type { Event, RecordedEvent } from "../event.ts";

/** How often it says, in ms, that it sees events though none is wanted. */
export const SIGHT = 1_000;

/** What several partitions are shown together. */
export interface SharedPosition {
  /** The last event that there was, of whichever partition. */
  last: RecordedEvent | undefined;
}

/** What a partition has to do next. */
export interface HandlerBatch<E extends Event> {
  /** Events to handle, in order. */
  readonly events: readonly (E & RecordedEvent)[];
  /** The last event that was seen, wanted or not: up to it there are no others. */
  readonly seen: RecordedEvent | undefined;
}

/** What waits to be handled in one partition: those at hand are handled together. */
export class PartitionBuffer<E extends Event> {
  /** Which partition it is of. */
  readonly partition: number;
  readonly #size: number;
  readonly #wanted: (event: E) => boolean;
  readonly #changed = new Notifier();
  #events: (E & RecordedEvent)[] = [];
  /** Up to here it was shown what there is. */
  #position: number;
  #seen: RecordedEvent | undefined;
  #shared: SharedPosition | undefined;
  #given = 0;
  #taken = 0;
  /** How many have to be taken until it has caught up, where that is known. */
  #goal: number | undefined;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  /** Takes what comes after sequence `after`, `size` events at once. */
  constructor(
    partition: number,
    after: number,
    { size, wanted }: { readonly size: number; readonly wanted: (event: E) => boolean },
  ) {
    this.partition = partition;
    this.#position = after;
    this.#size = size;
    this.#wanted = wanted;
  }

  /** The last sequence that it was shown, or began after. */
  get position(): number {
    return Math.max(this.#position, this.#shared?.last?.sequence ?? 0);
  }

  /** It is given its events of those that `shared` shows, after its own position. */
  set shared(shared: SharedPosition | undefined) {
    if (this.#shared?.last !== undefined) this.show(this.#shared.last);
    this.#shared = shared;
  }

  /** Whether no more is to be given for now. */
  get full(): boolean {
    return this.#events.length >= 2 * this.#size;
  }

  /** Whether nobody takes from it any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether all that was stored when its reading began is taken. */
  get caughtUp(): boolean {
    return this.#goal !== undefined && this.#taken >= this.#goal;
  }

  /** Gives it the next event of the partition. */
  give(event: E & RecordedEvent): void {
    if (event.sequence <= this.#position) return;
    this.show(event);
    if (!this.#wanted(event)) return;
    this.#events.push(event);
    this.#given++;
    this.#changed.notify();
  }

  /** Shows it an event that there is, of whichever partition. */
  show(event: RecordedEvent): void {
    if (event.sequence <= this.#position) return;
    this.#position = event.sequence;
    this.#seen = event;
  }

  /** What it was given is what was stored when its reading began. */
  reach(): void {
    this.#goal ??= this.#given;
    this.#changed.notify();
  }

  /** There will be no more, for `error`. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#changed.notify();
  }

  /** Nobody takes from it any more. */
  end(): void {
    this.#ended = true;
    this.#changed.notify();
  }

  /** Has `take` look again at what wakes it. */
  poke(): void {
    this.#changed.notify();
  }

  /** Resolves when it is not full, has ended, or after `ms`. */
  async room(ms?: number): Promise<void> {
    const deadline = performance.now() + (ms ?? Infinity);
    while (this.full && !this.#ended && performance.now() < deadline) await this.#changed.wait(ms);
  }

  /**
   * What is at hand; waits until that is something, `wake` says so, or `signal` is aborted: then
   * there may be nothing. Throws what it failed with.
   */
  async take(wake: () => boolean, signal: AbortSignal): Promise<HandlerBatch<E>> {
    while (this.#events.length === 0 && !wake() && !signal.aborted) {
      if (this.#failure !== undefined) throw this.#failure.error;
      await this.#changed.wait(Infinity, signal);
    }
    const events = this.#events.splice(0, this.#size);
    this.#taken += events.length;
    this.#changed.notify();
    if (this.#events.length > 0) return { events, seen: events.at(-1) };
    if (this.#shared?.last !== undefined) this.show(this.#shared.last);
    return { events, seen: this.#seen };
  }
}
