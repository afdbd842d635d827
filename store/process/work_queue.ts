import { categoryOf } from "../actor.ts";
import type { OpenItem } from "./open_index.ts";

/** Work of one kind that is under way at once in one partition. */
const AT_ONCE = 64;

/** How a turn of work has ended. */
export type TurnEnd =
  /** It is over, or waits somewhere else. */
  | "over"
  /** It has to be done again, before the later work of its lane. */
  | "again"
  /** So too, and none of its lane begins until it is added again. */
  | "stopped";

/** Work that waits for the same thing. */
interface Kind {
  /** Lanes whose first item waits for its turn, in order. */
  readonly ready: Set<Lane>;
  busy: number;
}

/** The work of one process on one target, one item after the other. */
interface Lane {
  readonly name: string;
  /** The name of its kind. */
  readonly kind: string;
  /** The first one is under way, or is to be next. */
  readonly items: Map<string, OpenItem>;
  /** The one that is under way. */
  busy: string | undefined;
  /** Whether that one was added meanwhile. */
  isAgain: boolean;
  /** The one that has to be added again before any of the lane begins. */
  stopped: string | undefined;
}

/**
 * The work of a partition that waits for its turn or is under way. Commands to one category, calls of one
 * effect, and deadlines each have their own places: where a receiver is out of reach, all the work
 * that waits for it must hold up no other, least of all the deadlines that are set for the case. An
 * item that has failed keeps its place before the later ones of its lane.
 */
export class WorkQueue {
  readonly #work: (key: string, item: OpenItem) => Promise<TurnEnd>;
  readonly #kinds = new Map<string, Kind>();
  readonly #lanes = new Map<string, Lane>();
  /** The lane of each item. */
  readonly #places = new Map<string, Lane>();
  readonly #busy = new Map<string, Promise<void>>();

  /** Has `work` done, which never rejects. */
  constructor(work: (key: string, item: OpenItem) => Promise<TurnEnd>) {
    this.#work = work;
  }

  /** Whether work on it is under way. */
  isBusy(key: string): boolean {
    return this.#busy.has(key);
  }

  /** The keys of all that waits for its turn or is under way. */
  keys(): Iterable<string> {
    return this.#places.keys();
  }

  /** Lets an item wait for its turn. */
  add(key: string, item: OpenItem): void {
    const lane = this.#laneOf(item);
    lane.items.set(key, item);
    this.#places.set(key, lane);
    if (lane.busy === key) lane.isAgain = true;
    if (lane.stopped === key) lane.stopped = undefined;
    this.#line(lane);
  }

  /** Takes an item out; work on it that is under way goes on to its end. */
  delete(key: string): void {
    const lane = this.#places.get(key);
    if (lane === undefined) return;
    this.#places.delete(key);
    lane.items.delete(key);
    if (lane.stopped === key) lane.stopped = undefined;
    this.#line(lane);
  }

  /** Takes all out. */
  clear(): void {
    for (const key of [...this.#places.keys()]) this.delete(key);
  }

  /** Begins the work that has its turn; `onEnd` is called when some of it has ended. */
  start(onEnd: () => void): void {
    for (const [name, kind] of this.#kinds) {
      for (const lane of kind.ready) {
        if (kind.busy >= AT_ONCE) break;
        this.#begin(lane, kind, onEnd);
      }
      if (kind.busy === 0 && kind.ready.size === 0) this.#kinds.delete(name);
    }
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#busy.values());
  }

  #begin(lane: Lane, kind: Kind, onEnd: () => void): void {
    const [key, item] = lane.items.entries().next().value!;
    lane.busy = key;
    lane.isAgain = false;
    kind.busy++;
    this.#line(lane);
    const work = this.#work(key, item).then((end) => {
      lane.busy = undefined;
      kind.busy--;
      this.#busy.delete(key);
      if (lane.isAgain || !lane.items.has(key)) this.#line(lane);
      else if (end === "over") this.delete(key);
      else {
        if (end === "stopped") lane.stopped = key;
        this.#line(lane);
      }
      onEnd();
    });
    this.#busy.set(key, work);
  }

  /** Puts a lane at the end of the line if it has work that can begin, and out of it if it has none. */
  #line(lane: Lane): void {
    const { name, items, busy, stopped } = lane;
    const isReady = items.size > 0 && busy === undefined && stopped === undefined;
    const kind = this.#kinds.get(lane.kind) ?? { ready: new Set<Lane>(), busy: 0 };
    if (isReady) this.#kinds.set(lane.kind, kind);
    if (isReady) kind.ready.add(lane);
    else kind.ready.delete(lane);
    if (items.size === 0 && busy === undefined) this.#lanes.delete(name);
  }

  #laneOf(item: OpenItem): Lane {
    const name = `${item.actorId} ${item.lane}`;
    const made = { name, kind: kindOf(item), items: new Map<string, OpenItem>(), isAgain: false };
    const lane = this.#lanes.get(name) ?? { ...made, busy: undefined, stopped: undefined };
    this.#lanes.set(name, lane);
    return lane;
  }
}

function kindOf({ lane, effect, deadline }: OpenItem): string {
  if (deadline !== undefined) return "deadline";
  return effect === undefined ? `command ${categoryOf(lane)}` : `effect ${effect}`;
}
