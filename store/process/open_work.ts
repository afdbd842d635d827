import { Notifier } from "../base/notifier.ts";
import { LONGEST_TIMER, sleep } from "../base/sleep.ts";
import type { RecordedEvent } from "../event.ts";
import type { CheckpointStore } from "../projection/checkpoint_store.ts";
import type { EventStore } from "../store.ts";
import { DueHeap } from "../timer/due_heap.ts";
import type { DeadlineClock } from "../timer/clock.ts";
import { openingEvent } from "./known_history.ts";
import { LedgerType } from "../ledger_type.ts";
import type { CalledEffect, DeadlineSetData, IssuedCommand } from "./ledger.ts";
import type { OpenIndex, OpenItem } from "./open_index.ts";
import { type TurnEnd, WorkQueue } from "./work_queue.ts";

/** How long it waits after trouble, in ms. */
export const PAUSE = 1_000;
/** How often the index is saved at most, in ms, and at most for each of its items. */
const SAVE_EVERY = { all: 5_000, item: 4 } as const;
/** Events of deadlines that are due sooner than this are kept, so that they need not be read, in ms. */
const SOON = 60_000;
/** How long an item that is done may stay open until it is worked on once more, in ms. */
const RECHECK = 30_000;

/** Cleared deadlines that the heap may hold beyond twice what is open. */
const SPARE = 1_000;

/** An open command or a deadline, with the event that opened it. */
export interface AgendaItem extends OpenItem {
  readonly event: RecordedEvent;
}

/** How work on an item ended. */
export type WorkEnd =
  /** Its outcome was taken in: an event says so. */
  | "done"
  /** Its process is parked: it waits until that is over. */
  | "held"
  /**
   * So too, since this version of its history, and it did not go out: what comes later in its lane must
   * not pass it.
   */
  | { readonly stopped: number };

/** The parts of an {@linkcode Agenda}. */
export interface AgendaParts {
  readonly store: EventStore;
  readonly checkpoints: CheckpointStore<undefined>;
  /** Prefix of its keys. */
  readonly key: string;
  /** The category of the processes' histories. */
  readonly category: string;
  /** Brings an open command or a deadline that is due to its end; rejects only when `signal` is aborted. */
  readonly work: (item: AgendaItem, signal: AbortSignal) => Promise<WorkEnd>;
  readonly clock: DeadlineClock;
  readonly onError: (error: unknown) => void;
  /** See `RECHECK`. @default {30_000} */
  readonly recheck?: number;
}

/** A deadline in its time. */
interface Due {
  readonly at: number;
  readonly key: string;
}

/**
 * The open work of one partition: each item is worked on in its time, again after trouble, and until an
 * event says that it is over.
 */
export class OpenWork {
  readonly #parts: AgendaParts;
  readonly #index: OpenIndex;
  readonly #signal: AbortSignal;
  readonly #changed = new Notifier();
  /** By process and name. */
  readonly #open = new Map<string, OpenItem>();
  /** The keys of deadlines that are set, by process and name. */
  readonly #deadlines = new Map<string, Map<string, string>>();
  readonly #due = new DueHeap<Due>();
  readonly #queue = new WorkQueue((key, item) => this.#work(key, item));
  /** Events of items that came just now, so that they need not be read. */
  readonly #events = new Map<string, RecordedEvent>();
  /** Those whose process is parked. */
  readonly #waiting = new Map<string, OpenItem>();
  /** Those whose work is done, since when: the events that say so are still to come. */
  readonly #done = new Map<string, number>();
  /** The timer that wakes it for the first deadline. */
  #alarm: { readonly first: Due; readonly over: AbortController } | undefined;
  /** The timer that wakes it at the latest, and when, by the monotonic clock in ms. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakesAt = Infinity;
  /** Work that is under way, with the last version at which its process has gone on meanwhile. */
  readonly #underWay = new Map<string, { readonly actorId: string; wentOn: number }>();
  /** Whether there is something to save. */
  isDirty = false;
  #savedAt = performance.now();
  #saving: Promise<void> | undefined;
  /** Position up to which events are seen. */
  sequence = 0;

  /** Nothing is open yet; ends with `signal`. */
  constructor(parts: AgendaParts, index: OpenIndex, signal: AbortSignal) {
    this.#parts = parts;
    this.#index = index;
    this.#signal = signal;
  }

  /** Nothing is known. */
  clear(): void {
    for (const map of [this.#open, this.#queue, this.#events, this.#waiting]) map.clear();
    this.#deadlines.clear();
    this.#due.clear();
  }

  /** When the earliest deadline is due that is set, unless its process is parked. */
  get earliest(): number | undefined {
    if (this.#signal.aborted) return undefined; // It is given up.
    for (let due = this.#due.first; due !== undefined; due = this.#due.first) {
      if (this.#open.has(due.key)) break;
      this.#due.take();
    }
    let first = this.#due.first?.at;
    for (const key of this.#queue.keys()) {
      const { at } = this.#open.get(key)?.deadline ?? {};
      if (at !== undefined) first = Math.min(at, first ?? at);
    }
    return first;
  }

  /** Something may be there to do. */
  changed(): void {
    this.#changed.notify();
  }

  /** An item is open. */
  open(item: OpenItem, event?: RecordedEvent): void {
    const key = keyOf(item);
    this.isDirty = true;
    this.#open.set(key, item);
    const { actorId, deadline } = item;
    if (deadline !== undefined) {
      this.#clear(actorId, deadline.name, key);
      const own = this.#deadlines.get(actorId) ?? new Map<string, string>();
      this.#deadlines.set(actorId, own.set(deadline.name, key));
      this.#due.add({ at: deadline.at, key });
      const isSoon = event !== undefined && deadline.at - event.timestamp.getTime() < SOON;
      if (isSoon) this.#events.set(key, event);
      return;
    }
    if (this.#queue.isBusy(key)) return;
    this.#queue.add(key, item);
    if (event !== undefined) this.#events.set(key, event);
  }

  /** Takes note of an event in the history of a process. */
  see(event: RecordedEvent): void {
    const { actorId, eventType, data } = event;
    if (eventType === LedgerType.issued) {
      const { id: name, together = false } = data as IssuedCommand;
      if (together) return; // It is handled.
      const { version, sequence, id: eventId } = event;
      const { actorId: lane } = data as IssuedCommand;
      this.open({ actorId, version, sequence, eventId, name, lane }, event);
    } else if (eventType === LedgerType.called) {
      const { id: name, name: effect } = data as CalledEffect;
      const { version, sequence, id: eventId } = event;
      const place = { actorId, version, sequence, eventId };
      this.open({ ...place, name, lane: `effect ${name}`, effect }, event);
    } else if (eventType === LedgerType.settled || eventType === LedgerType.effectEnded) {
      this.#close(keyOf({ actorId, name: (data as { id: string }).id }));
    } else if (eventType === LedgerType.deadlineSet) {
      const { name, at } = data as DeadlineSetData;
      const { version, sequence, id: eventId } = event;
      const place = { actorId, version, sequence, eventId };
      const deadline = { name, at: Date.parse(at) };
      const item = { ...place, name: `deadline ${version}`, lane: `deadline ${name}`, deadline };
      this.open(item, event);
    } else if (eventType === LedgerType.deadlineCleared) {
      this.#clear(actorId, (data as { name: string }).name);
    } else if (eventType === LedgerType.unparked || eventType === LedgerType.ended) {
      for (const turn of this.#underWay.values()) {
        if (turn.actorId === actorId) turn.wentOn = event.version;
      }
      if (eventType === LedgerType.ended) {
        for (const name of [...this.#deadlines.get(actorId)?.keys() ?? []]) {
          this.#clear(actorId, name);
        }
      }
      for (const [key, item] of this.#waiting) {
        if (item.actorId !== actorId) continue;
        this.#waiting.delete(key);
        this.#queue.add(key, item);
      }
    }
  }

  /** A deadline is not set any more, unless it is `but`. */
  #clear(actorId: string, name: string, but?: string): void {
    const own = this.#deadlines.get(actorId);
    const key = own?.get(name);
    if (key === undefined || key === but) return;
    own!.delete(name);
    if (own!.size === 0) this.#deadlines.delete(actorId);
    this.#close(key);
    // The heap still holds it, until it would have been due or most in it are such.
    if (this.#due.size > 2 * this.#open.size + SPARE) {
      this.#due.keep((due) => this.#open.has(due.key));
    }
  }

  #close(key: string): void {
    this.isDirty = true;
    const all = [this.#open, this.#queue, this.#events, this.#waiting, this.#done];
    for (const map of all) map.delete(key);
  }

  /** Works until the partition is given up; resolves when nothing is under way any more. */
  async run(): Promise<void> {
    const stop = () => this.changed();
    this.#signal.addEventListener("abort", stop, { once: true });
    while (!this.#signal.aborted) {
      const { count } = this.#changed;
      try {
        await this.#turn(count);
      } catch (error) {
        // A clock of the user's own may throw.
        if (!this.#signal.aborted) this.#parts.onError(error);
        await sleep(PAUSE, this.#signal);
      }
    }
    this.#signal.removeEventListener("abort", stop);
    clearTimeout(this.#timer);
    this.#alarm?.over.abort();
    await this.#queue.settled();
    await this.#saving;
    if (this.isDirty) await this.#save();
  }

  /** Begins what is to be done, and waits until there may be more. */
  async #turn(count: number): Promise<void> {
    const next = [await this.#takeDue(), this.#lookAgain()];
    this.#queue.start(() => this.#changed.notify());
    if (this.isDirty && this.#saving === undefined) {
      const every = Math.max(SAVE_EVERY.all, SAVE_EVERY.item * this.#open.size);
      const due = this.#savedAt + every - performance.now();
      if (due > 0) next.push(due);
      else {
        this.#saving = this.#save().finally(() => {
          this.#saving = undefined;
          this.#savedAt = performance.now();
          this.#changed.notify();
        });
      }
    }
    this.#wakeIn(Math.max(1, Math.min(...next)));
    await this.#changed.wait(Infinity, undefined, count);
  }

  /** Wakes it after `ms`, or sooner: a timer that is set stays, as a new one for each turn costs. */
  #wakeIn(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.#wakesAt) return;
    clearTimeout(this.#timer);
    this.#wakesAt = at;
    this.#timer = setTimeout(() => {
      this.#wakesAt = Infinity;
      this.changed();
    }, Math.min(ms, LONGEST_TIMER));
  }

  /**
   * Makes deadlines ready that have come, and sees to it that it wakes for the next one; gives the
   * time until it has to look again all the same, in ms.
   */
  async #takeDue(): Promise<number> {
    for (let first = this.#due.first; first !== undefined; first = this.#due.first) {
      const { at, key } = first;
      const item = this.#open.get(key);
      if (item !== undefined) {
        let now: number;
        try {
          now = await this.#parts.clock.now();
        } catch (error) {
          this.#parts.onError(error);
          return PAUSE;
        }
        if (this.#due.first !== first) continue;
        if (now < at) {
          this.#wakeFor(first, at - now);
          return Infinity;
        }
      }
      this.#due.take();
      if (item !== undefined && this.#open.has(key)) this.#queue.add(key, item);
    }
    return Infinity;
  }

  /** Wakes it when a deadline may have come. */
  #wakeFor(first: Due, ms: number): void {
    if (this.#alarm?.first === first) return;
    this.#alarm?.over.abort();
    const over = new AbortController();
    const alarm = this.#alarm = { first, over };
    this.#parts.clock.wait(ms, over.signal).then(() => {
      if (this.#alarm !== alarm) return;
      this.#alarm = undefined;
      this.#changed.notify();
    });
  }

  /**
   * Makes items ready again that are done and stay open: nobody else would notice if that was a
   * mistake. Gives the time until the next one, in ms.
   */
  #lookAgain(): number {
    const { recheck = RECHECK } = this.#parts;
    for (const [key, since] of this.#done) {
      const left = since + recheck - performance.now();
      if (left > 0) return left;
      this.#done.delete(key);
      this.#queue.add(key, this.#open.get(key)!);
    }
    return Infinity;
  }

  async #work(key: string, item: OpenItem): Promise<TurnEnd> {
    const { store, work, onError } = this.#parts;
    const turn = { actorId: item.actorId, wentOn: 0 };
    this.#underWay.set(key, turn);
    try {
      const event = this.#events.get(key) ?? await openingEvent(store, item, this.#signal);
      this.#events.delete(key);
      if (event === undefined) {
        this.#close(key); // The history has lost it.
        return "over";
      }
      const end = await work({ ...item, event }, this.#signal);
      if (!this.#open.has(key)) return "over";
      if (end === "done") {
        this.#done.set(key, performance.now());
        return "over";
      }
      // It may have gone on while the work was under way.
      if (turn.wentOn > (end === "held" ? 0 : end.stopped)) return "again";
      this.#waiting.set(key, item);
      return end === "held" ? "over" : "stopped";
    } catch (error) {
      if (this.#signal.aborted) return "over";
      onError(error);
      await sleep(PAUSE, this.#signal);
      return "again";
    } finally {
      this.#underWay.delete(key);
    }
  }

  async #save(): Promise<void> {
    this.isDirty = false;
    try {
      await this.#index.save({ sequence: this.sequence, items: [...this.#open.values()] });
    } catch (error) {
      this.isDirty = true;
      if (!this.#signal.aborted) this.#parts.onError(error);
    }
  }
}

function keyOf({ actorId, name }: Pick<OpenItem, "actorId" | "name">): string {
  return `${actorId} ${name}`;
}
