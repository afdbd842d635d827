import { shardOf } from "../actor.ts";
import { StreamRegressedError } from "../errors.ts";
import { positionsOf } from "../store_positions.ts";
import { readArrivals } from "./arrival.ts";
import { type LagParts, statesOf } from "./lag.ts";
import type { ProjectionVersion } from "./state.ts";

/** The event that a caller waits for next. */
interface Next {
  /** The version of the projection that has to handle it. */
  readonly version: number;
  readonly partition: number;
  readonly sequence: number;
}

/**
 * Finds out whether a projection has handled all events up to a position. That position need not
 * hold an event that the projection wants, or any event: what counts is that none up to it is left.
 */
export class Reach<Tx> {
  readonly #parts: LagParts<Tx>;
  readonly #sequence: number;
  /** Whether the store is known to have grown as far as that. */
  #isStored = false;
  #next: Next | undefined;

  /** Looks for events up to position `sequence`. */
  constructor(parts: LagParts<Tx>, sequence: number) {
    this.#parts = parts;
    this.#sequence = sequence;
  }

  /** Whether `active`, the version that is read, has handled or parked all of them by now. */
  async look(active: ProjectionVersion, signal: AbortSignal): Promise<boolean> {
    const { checkpoints, store } = this.#parts;
    if (this.#next?.version === active.version) {
      // One look at the checkpoint of that event's partition, rather than at all of them.
      const { partition, sequence } = this.#next;
      const { state } = await checkpoints.partition({ ...active, partition }, store.identity);
      if (state.sequence < sequence) return false;
    }
    this.#next = await this.#find(active, signal);
    return this.#next === undefined && this.#isStored;
  }

  /** The first event up to the position that is left; `undefined` if there is none. */
  async #find(active: ProjectionVersion, signal: AbortSignal): Promise<Next | undefined> {
    const { name, store, filter } = this.#parts;
    const states = await statesOf(this.#parts, active);
    const other = states.find((it) => it.sequence > 0 && it.identity !== store.identity);
    if (other !== undefined) {
      const reason = `its checkpoint is about another store, whose identity was ${other.identity}`;
      throw new StreamRegressedError(`projection "${name}"`, other.sequence, 0, reason);
    }
    const positions = states.map(({ sequence }) => sequence);
    const least = Math.min(...positions);
    if (least >= this.#sequence) {
      this.#isStored = true;
      return undefined;
    }
    // Before the read: of what is stored by now, the read misses nothing.
    this.#isStored ||= await positionsOf(store).end() >= this.#sequence;
    const options = { from: least + 1, filter, signal };
    for await (const { sequence, actorId } of readArrivals(store, options)) {
      if (sequence > this.#sequence) break;
      const partition = states.length === 1 ? 0 : shardOf(actorId, states.length);
      if (sequence > positions[partition]!) return { version: active.version, partition, sequence };
    }
    return undefined;
  }
}
