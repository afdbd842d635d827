import { dropOldest } from "../base/oldest.ts";
import type { ActorState } from "./actor_state.ts";
import type { Evolution } from "./decider.ts";
import type { Event } from "../event.ts";
import { forgetEpoch } from "../forget_epoch.ts";

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
  #epoch: number = forgetEpoch();

  /** Keeps at most `capacity` actors. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /**
   * Hands out the state of the actor, if it was folded by `evolution`, and keeps it no longer:
   * `evolve` may change it in place. A caller that has left it whole sets it again.
   */
  take(actorId: string, evolution: Evolution<unknown, Event>): KeptState | undefined {
    this.#refresh();
    const kept = this.#states.get(actorId);
    if (kept?.actor.evolution !== evolution) return undefined;
    this.#states.delete(actorId);
    return kept;
  }

  /**
   * Keeps a state that was read in a {@linkcode forgetEpoch}, unless that is over; drops the one that
   * was set longest ago if there are too many.
   */
  set(actorId: string, kept: KeptState, epoch: number): void {
    this.#refresh();
    this.#states.delete(actorId);
    if (epoch !== this.#epoch) return;
    this.#states.set(actorId, kept);
    dropOldest(this.#states, this.#capacity);
  }

  /** Drops all states once something was forgotten. */
  #refresh(): void {
    const epoch = forgetEpoch();
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#states.clear();
  }

  /** Forgets the actor. */
  delete(actorId: string): void {
    this.#states.delete(actorId);
  }
}
