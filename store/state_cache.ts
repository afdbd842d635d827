import type { ActorState } from "./actor_state.ts";
import type { Evolution } from "./decider.ts";
import type { Event } from "./event.ts";

/** The states of the actors that were used last, a bounded number of them. */
export class StateCache {
  readonly #states = new Map<string, ActorState>();
  readonly #capacity: number;

  /** Keeps at most `capacity` actors. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The state of the actor, if it was folded by `evolution`. */
  get(actorId: string, evolution: Evolution<unknown, Event>): ActorState | undefined {
    const state = this.#states.get(actorId);
    return state?.evolution === evolution ? state : undefined;
  }

  /** Keeps a state; drops the one that was set longest ago where there are too many. */
  set(actorId: string, state: ActorState): void {
    this.#states.delete(actorId);
    this.#states.set(actorId, state);
    if (this.#states.size > this.#capacity) {
      this.#states.delete(this.#states.keys().next().value!);
    }
  }

  /** Forgets the actor. */
  delete(actorId: string): void {
    this.#states.delete(actorId);
  }
}
