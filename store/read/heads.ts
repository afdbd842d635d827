import { dropOldest } from "../base/oldest.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";

/** Where an actor's history ends. */
export interface Head {
  /** Version of its last event; 0 when it has none. */
  readonly version: number;
  /** The stream sequence of its last message; 0 when it has none. */
  readonly sequence: StreamSequence;
  /** The ids of the last events of that message, as `lastIds()` gives them; if they are known. */
  readonly ids?: string | undefined;
}

/** A message that this store has heard of. */
export interface SeenMessage {
  readonly sequence: StreamSequence;
  /** The save that it is of. */
  readonly op: string;
  /** When this store heard of it, by the monotonic clock, in ms. */
  readonly at: number;
}

/** The time between two seen messages that are kept, in ms, and how many are. */
const SPACING = 1_000;
const MOST_SEEN = 64;

interface CachedHead {
  head: Head;
  /** When the server last vouched for it, by the monotonic clock, in ms. */
  at: number;
  /** The count of moves when it was last moved to the end. */
  moved: number;
}

/**
 * The known ends of histories: a cache of bounded size, the least recently used dropped first. An
 * entry only ever grows; a stale one makes a save ask again, never wrong.
 */
export class HeadCache {
  readonly #entries = new Map<string, CachedHead>();
  readonly #capacity: number;
  /** How often an entry was put at the end. */
  #moves = 0;
  /** The last position of the stream that was heard of by other messages than events. */
  #reached = asStreamSequence(0);
  #last = asStreamSequence(0);
  #seen: SeenMessage[] = [];
  /** When actors were forgotten last: what was asked before may be outdated when it is answered. */
  #forgottenAt = -Infinity;

  /** Keeps `capacity` actors, and at most a tenth more. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The highest sequence that this store has heard of. */
  get highest(): StreamSequence {
    return this.#last > this.#reached ? this.#last : this.#reached;
  }

  /** The highest sequence of an event that this store has heard of. */
  get last(): StreamSequence {
    return this.#last;
  }

  /**
   * Messages that this store has heard of, in order: about one for each second since it was last
   * proved that they are in their places, and the newest.
   */
  get seen(): readonly SeenMessage[] {
    return this.#seen;
  }

  /** Notes which save the message at `sequence` is of, heard at `at`. */
  mark(sequence: StreamSequence, op: string, at: number): void {
    const marks = this.#seen;
    const { length } = marks;
    if (length > 0 && sequence <= marks[length - 1]!.sequence) return;
    const isClose = length > 1 && at - marks[length - 2]!.at < SPACING;
    if (isClose) marks.length--;
    else if (length >= MOST_SEEN) this.#seen = marks.filter((_, at) => at % 2 === 0);
    this.#seen.push({ sequence, op, at });
  }

  /** Notes that all seen messages up to `sequence` are in their places. */
  settle(sequence: StreamSequence): void {
    this.#seen = this.#seen.filter((mark) => mark.sequence >= sequence);
  }

  /** Forgets all: it is of another stream. */
  clear(): void {
    this.#entries.clear();
    this.#reached = asStreamSequence(0);
    this.#last = asStreamSequence(0);
    this.#seen = [];
  }

  /** The known head of the actor, at any age. */
  get(actorId: string): Head | undefined {
    return this.#touch(actorId)?.head;
  }

  /** The actor's head, if the server named it at `since` or after. */
  getSince(actorId: string, since: number): Head | undefined {
    const entry = this.#touch(actorId);
    return entry !== undefined && entry.at >= since ? entry.head : undefined;
  }

  /** Notes what the server said, asked at `at`, unless it is older than what is known. */
  raise(actorId: string, head: Head, at: number): void {
    if (head.sequence > this.#last) this.#last = head.sequence;
    if (at < this.#forgottenAt) at = -Infinity;
    const entry = this.#entries.get(actorId);
    if (entry === undefined) {
      this.#entries.set(actorId, { head, at, moved: ++this.#moves });
      dropOldest(this.#entries, this.#capacity);
    } else if (head.sequence >= entry.head.sequence) {
      if (head.sequence > entry.head.sequence || head.ids !== undefined) entry.head = head;
      entry.at = Math.max(entry.at, at);
    }
  }

  /** Notes that the stream has come to `sequence`, so that what is read reaches it. */
  reach(sequence: StreamSequence): void {
    if (sequence > this.#reached) this.#reached = sequence;
  }

  /** Forgets the actors that `matches` picks: others may have written them. */
  forget(matches: (actorId: string) => boolean): void {
    this.#forgottenAt = performance.now();
    for (const actorId of this.#entries.keys()) {
      if (matches(actorId)) this.#entries.delete(actorId);
    }
  }

  /**
   * Makes the entry one of the most recently used: those of the newer half stay where they are,
   * for moving one makes the map grow and be copied in the end.
   */
  #touch(actorId: string): CachedHead | undefined {
    const entry = this.#entries.get(actorId);
    if (entry !== undefined && this.#moves - entry.moved >= this.#capacity / 2) {
      entry.moved = ++this.#moves;
      this.#entries.delete(actorId);
      this.#entries.set(actorId, entry);
    }
    return entry;
  }
}
