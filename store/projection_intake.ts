import type { Event, RecordedEvent } from "./event.ts";
import { Pulse } from "./pulse.ts";
import type { EventSubscription } from "./subscription.ts";

/** How often it says, in ms, that it sees events though none is wanted. */
export const SIGHT = 1_000;

/** What a projection has to do next. */
export interface Batch<E extends Event> {
  /** Events to handle, in order. */
  readonly events: readonly (E & RecordedEvent)[];
  /** The last event that was seen, wanted or not: up to it there are no others. */
  readonly seen: RecordedEvent | undefined;
}

/** Gathers the events of a subscription, so that those at hand are handled together. */
export class Intake<E extends Event> {
  readonly #size: number;
  readonly #wanted: (event: E & RecordedEvent) => boolean;
  readonly #pulse = new Pulse();
  readonly #done: Promise<void>;
  #events: (E & RecordedEvent)[] = [];
  #seen: RecordedEvent | undefined;
  #told = performance.now();
  #given = 0;
  #taken = 0;
  /** How many have to be taken until it has caught up, where that is known. */
  #goal: number | undefined;
  #ended = false;
  #failure: unknown;

  /** Reads at most `size` events ahead; those that are not `wanted` are left out. */
  constructor(
    subscription: EventSubscription<E>,
    size: number,
    wanted: (event: E & RecordedEvent) => boolean,
  ) {
    this.#size = size;
    this.#wanted = wanted;
    subscription.caughtUp.then(() => {
      this.#goal = this.#given;
      this.#pulse.tell();
    }, () => {});
    this.#done = this.#read(subscription);
  }

  /** Whether all that was stored when the subscription began is taken. */
  get caughtUp(): boolean {
    return this.#goal !== undefined && this.#taken >= this.#goal;
  }

  /**
   * What is at hand; waits until that is something, `wake` says so, or `signal` is aborted: then
   * there may be nothing. Throws what the subscription has thrown.
   */
  async take(wake: () => boolean, signal: AbortSignal): Promise<Batch<E>> {
    while (this.#events.length === 0 && !wake() && !signal.aborted) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) throw new Error("the subscription has ended");
      await this.#pulse.wait(Infinity, signal);
    }
    const events = this.#events;
    this.#events = [];
    this.#taken += events.length;
    this.#pulse.tell();
    return { events, seen: this.#seen };
  }

  /** Has `take` look again at what wakes it. */
  poke(): void {
    this.#pulse.tell();
  }

  /** Resolves when the subscription, which is disposed elsewhere, is no longer read. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#pulse.tell();
    await this.#done;
  }

  /** Position of the last event that was seen. */
  get seen(): number {
    return this.#seen?.sequence ?? 0;
  }

  #pass(): void {
    const now = performance.now();
    if (now - this.#told < SIGHT) return;
    this.#told = now;
    this.#pulse.tell();
  }

  async #read(subscription: EventSubscription<E>): Promise<void> {
    try {
      for await (const event of subscription) {
        if (this.#ended) return;
        this.#seen = event;
        if (!this.#wanted(event)) {
          this.#pass();
          continue;
        }
        this.#events.push(event);
        this.#given++;
        this.#pulse.tell();
        while (this.#events.length >= this.#size && !this.#ended) await this.#pulse.wait();
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#ended = true;
    this.#pulse.tell();
  }
}
