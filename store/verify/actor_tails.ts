import { dropOldest } from "../base/oldest.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";

/** Where an actor ends, as far as the walk has come. */
export interface Tail {
  /** The version of its last event; 0 if it has none, `undefined` if nothing says so. */
  readonly version: number | undefined;
  /** Its last message; 0 if it has none. */
  readonly sequence: StreamSequence;
}

/** The tail of an actor without messages. */
export const NO_TAIL: Tail = { version: 0, sequence: asStreamSequence(0) };

interface KeptTail {
  tail: Tail;
  /** The count of moves when it was last moved to the end. */
  moved: number;
}

/** Where actors end: those that were met last. */
export class ActorTails {
  /** Whether an actor was dropped, so that one that is not here may have messages all the same. */
  overflowed = false;
  readonly #capacity: number;
  readonly #tails = new Map<string, KeptTail>();
  #moves = 0;

  /** Keeps `capacity` actors, and at most a tenth more. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Whether the actor is here. */
  has(actorId: string): boolean {
    return this.#tails.has(actorId);
  }

  /** Where the actor ends; `undefined` if it is not here. */
  get(actorId: string): Tail | undefined {
    return this.#tails.get(actorId)?.tail;
  }

  /** Notes where the actor ends. */
  set(actorId: string, tail: Tail): void {
    const kept = this.#tails.get(actorId);
    // One of the newer half stays where it is: moving makes the map grow.
    if (kept !== undefined && this.#moves - kept.moved < this.#capacity / 2) {
      kept.tail = tail;
      return;
    }
    this.#tails.delete(actorId);
    this.#tails.set(actorId, { tail, moved: ++this.#moves });
    if (this.#tails.size > this.#capacity) this.overflowed = true;
    dropOldest(this.#tails, this.#capacity);
  }
}
