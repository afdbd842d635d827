/**
 * Saves that go on while a test does harm to servers and connections.
 *
 * @module
 */

import type { JetStreamEventStore } from "../../store/mod.ts";
import { sleep } from "../../store/base/sleep.ts";
import { attempt, fact, type Outcome } from "./fault.ts";

/** Saves until it is stopped: `actors` histories side by side, every third save a batch. */
export class Load {
  /** How the saves so far have ended. */
  readonly outcomes: Outcome[] = [];
  /** How many histories there are: those of `order-0`, `order-1`, … */
  readonly actors: number;
  readonly #told = new Map<number, number>();
  readonly #stores: readonly JetStreamEventStore[];
  readonly #pause: number | undefined;
  readonly #work: Promise<void>;
  #stopped = false;
  #progress = Promise.withResolvers<void>();

  /**
   * Starts at once; the actors are dealt out to `stores` in turn. Each rests for `pause` ms after a save, if
   * that is given.
   */
  constructor(stores: readonly JetStreamEventStore[], actors: number, pause?: number) {
    this.actors = actors;
    this.#stores = stores;
    this.#pause = pause;
    this.#work = Promise.all(Array.from({ length: actors }, (_, at) => this.#run(at)))
      .then(() => {});
  }

  /** Resolves when `count` more saves have ended. */
  async further(count: number): Promise<void> {
    for (const goal = this.outcomes.length + count; this.outcomes.length < goal;) {
      await this.#progress.promise;
    }
  }

  /** The version of an actor's last save that was acknowledged; 0 before the first. */
  versionOf(actor: number): number {
    return this.#told.get(actor) ?? 0;
  }

  /** Lets the saves under way end; gives all outcomes. */
  async stop(): Promise<Outcome[]> {
    this.#stopped = true;
    await this.#work;
    return this.outcomes;
  }

  async #run(actor: number): Promise<void> {
    const store = this.#stores[actor % this.#stores.length]!;
    const id = `order-${actor}`;
    for (let version = 1; !this.#stopped;) {
      const count = version % 3 === 0 ? 3 : 1;
      const events = Array.from({ length: count }, (_, at) => fact(id, version + at));
      const outcome = await attempt(store, ...events);
      this.outcomes.push(outcome);
      this.#progress.resolve();
      this.#progress = Promise.withResolvers();
      const { kind } = outcome;
      if (kind === "saved") this.#told.set(actor, version + count - 1);
      // A conflict after an unknown outcome says that the save before was stored.
      if (kind === "saved" || kind === "conflict") version += count;
      if (this.#pause !== undefined) await sleep(this.#pause);
    }
  }
}
