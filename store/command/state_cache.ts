import type { ActorState } from "./actor_state.ts";
import type { Evolution } from "./decider.ts";
import type { Event } from "../event.ts";

/** A state with the times of its use, by the monotonic clock, in ms. */
export interface KeptState {
  readonly actor: ActorState;
  /** When this process began to save, one command right after the other, without a read. */
  readonly busySince: number;
  /** When it was last saved. */
  readonly usedAt: number;
  /** When another writer was last noticed. */
  readonly contendedAt: number;
}

/** The states of the actors that were used last, a bounded number of them. */
export class StateCache {
  readonly #states = new Map<string, KeptState>();
  readonly #capacity: number;

  /** Keeps at most `capacity` actors. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The state of the actor, if it was folded by `evolution`. */
  get(actorId: string, evolution: Evolution<unknown, Event>): KeptState | undefined {
    const kept = this.#states.get(actorId);
    return kept?.actor.evolution === evolution ? kept : undefined;
  }

  /** Keeps a state; drops the one that was set longest ago if there are too many. */
  set(actorId: string, kept: KeptState): void {
    this.#states.delete(actorId);
    this.#states.set(actorId, kept);
    if (this.#states.size > this.#capacity) {
      this.#states.delete(this.#states.keys().next().value!);
    }
  }

  /** Forgets the actor. */
  delete(actorId: string): void {
    this.#states.delete(actorId);
  }
}
