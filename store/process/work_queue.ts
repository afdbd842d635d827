import { categoryOf } from "../actor.ts";
import type { OpenItem } from "./open_index.ts";

/** Work of one kind that is under way at once in one partition. */
const AT_ONCE = 64;

/** Work that waits for the same thing. */
interface Kind {
  /** Items that wait for their turn, in order. */
  readonly ready: Map<string, OpenItem>;
  busy: number;
}

/**
 * The work of a partition that waits for its turn or is under way. Commands to one category, calls of one
 * effect, and deadlines each have their own places: where a receiver is out of reach, all the work
 * that waits for it must hold up no other, least of all the deadlines that are set for the case.
 */
export class WorkQueue {
  readonly #work: (key: string, item: OpenItem) => Promise<void>;
  readonly #kinds = new Map<string, Kind>();
  readonly #busy = new Map<string, Promise<void>>();
  /** The targets that are busy, each for one process. */
  readonly #lanes = new Set<string>();

  /** Has `work` done, which never rejects. */
  constructor(work: (key: string, item: OpenItem) => Promise<void>) {
    this.#work = work;
  }

  /** Whether work on it is under way. */
  isBusy(key: string): boolean {
    return this.#busy.has(key);
  }

  /** The keys of all that waits for its turn or is under way. */
  *keys(): Generator<string, void> {
    for (const { ready } of this.#kinds.values()) yield* ready.keys();
    yield* this.#busy.keys();
  }

  /** Lets an item wait for its turn. */
  add(key: string, item: OpenItem): void {
    const name = item.deadline === undefined ? categoryOf(item.lane) : "deadline";
    const kind = this.#kinds.get(name) ?? { ready: new Map(), busy: 0 };
    this.#kinds.set(name, kind);
    kind.ready.set(key, item);
  }

  /** Takes an item out that waits. */
  delete(key: string): void {
    for (const { ready } of this.#kinds.values()) ready.delete(key);
  }

  /** Takes all out that wait. */
  clear(): void {
    this.#kinds.clear();
  }

  /** Begins the work that has its turn; `onEnd` is called when some of it has ended. */
  start(onEnd: () => void): void {
    for (const [name, kind] of this.#kinds) {
      for (const [key, item] of kind.ready) {
        if (kind.busy >= AT_ONCE) break;
        this.#begin(key, item, kind, onEnd);
      }
      if (kind.busy === 0 && kind.ready.size === 0) this.#kinds.delete(name);
    }
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#busy.values());
  }

  #begin(key: string, item: OpenItem, kind: Kind, onEnd: () => void): void {
    const lane = `${item.actorId} ${item.lane}`;
    if (this.#lanes.has(lane)) return;
    this.#lanes.add(lane);
    kind.ready.delete(key);
    kind.busy++;
    const work = this.#work(key, item).finally(() => {
      kind.busy--;
      this.#busy.delete(key);
      this.#lanes.delete(lane);
      onEnd();
    });
    this.#busy.set(key, work);
  }
}
