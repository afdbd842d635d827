import { Notifier } from "../base/notifier.ts";
import { sleep } from "../base/sleep.ts";
import { encodeToken } from "../base/token.ts";
import { shardOf } from "../actor.ts";
import type { RecordedEvent } from "../event.ts";
import type { CheckpointStore } from "../projection/checkpoint_store.ts";
import type { HeldPartition } from "../projection/partition.ts";
import type { EventStore } from "../store.ts";
import { DueHeap } from "../timer/due_heap.ts";
import type { DeadlineClock } from "../timer/clock.ts";
import { LedgerType } from "../ledger_type.ts";
import type { CalledEffect, DeadlineSetData, IssuedCommand } from "./ledger.ts";
import { openingEvent } from "./known_history.ts";
import { OpenIndex, type OpenItem } from "./open_index.ts";

/** Work that is under way at once in one partition. */
const AT_ONCE = 64;
/** How long it waits after trouble, in ms. */
const PAUSE = 1_000;
/** How often the index is saved at most, in ms. */
const SAVE_EVERY = 5_000;

/** An open command or a deadline, with the event that opened it. */
export interface AgendaItem extends OpenItem {
  readonly event: RecordedEvent;
}

/** How work on an item ended. */
export type WorkEnd =
  /** Its outcome was taken in: an event says so. */
  | "done"
  /** Its process is parked: it waits until that is over. */
  | "held";

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
}

/**
 * The open work of processes in the partitions that this process holds: commands that were issued
 * and not settled, effects that have not ended, and deadlines that are set. It sees to
 * it that all of it is worked on in its time, also after a crash of the process that had issued it. Fed by a
 * projection of the processes' histories.
 */
export class Agenda {
  readonly #parts: AgendaParts;
  readonly #held = new Map<number, Held>();
  readonly #runs = new Set<Promise<void>>();

  /** Holds nothing yet. */
  constructor(parts: AgendaParts) {
    this.#parts = parts;
  }

  /** Takes a partition over, with all that is open in it. */
  async take({ partitionId, sequence, signal }: HeldPartition): Promise<void> {
    const { store, checkpoints, key, category, onError } = this.#parts;
    const { version, partition, of } = partitionId;
    const name = `${encodeToken(key)}.${version}.${partition}`;
    const index = new OpenIndex(checkpoints, name, store.identity);
    const held = new Held(this.#parts, index, signal);
    await untilDone(signal, onError, async () => {
      const known = await index.load();
      held.clear();
      for (const item of known.items) held.open(item);
      const from = known.sequence + 1;
      if (from <= sequence) {
        for await (const event of store.readAll({ from, filter: { category }, signal })) {
          if (event.sequence > sequence) break;
          if (of === 1 || shardOf(event.actorId, of) === partition) held.see(event);
        }
      }
      held.sequence = Math.max(known.sequence, sequence);
    });
    this.#held.set(partition, held);
    const run = held.run().finally(() => this.#runs.delete(run));
    this.#runs.add(run);
  }

  /** Takes note of an event in the history of a process. */
  see(event: RecordedEvent, partition: number): void {
    const held = this.#held.get(partition)!;
    // The index was ahead of the checkpoint: seen twice, an older deadline would take the place of a newer one.
    if (event.sequence <= held.sequence) return;
    held.see(event);
    held.sequence = event.sequence;
    held.changed();
  }

  /** When the earliest deadline is due that is set here, in ms; not of processes that are parked. */
  get earliest(): number | undefined {
    const all = [...this.#held.values()].map(({ earliest }) => earliest ?? Infinity);
    const first = Math.min(...all);
    return first === Infinity ? undefined : first;
  }

  /** Resolves when no work is under way any more; the partitions have to be given up before. */
  async settled(): Promise<void> {
    await Promise.all(this.#runs);
    this.#held.clear();
  }
}

/** A partition that is held. */
class Held {
  readonly #parts: AgendaParts;
  readonly #index: OpenIndex;
  readonly #signal: AbortSignal;
  readonly #changed = new Notifier();
  /** By process and name. */
  readonly #open = new Map<string, OpenItem>();
  /** The keys of deadlines that are set, by process and name. */
  readonly #deadlines = new Map<string, Map<string, string>>();
  readonly #due = new DueHeap<{ readonly at: number; readonly key: string }>();
  /** Those that wait for their turn, in order. */
  readonly #ready = new Map<string, OpenItem>();
  /** Events of items that came just now, so that they need not be read. */
  readonly #events = new Map<string, RecordedEvent>();
  /** Those whose process is parked. */
  readonly #waiting = new Map<string, OpenItem>();
  readonly #busy = new Map<string, Promise<void>>();
  /** The targets that are busy, each for one process. */
  readonly #lanes = new Set<string>();
  /** How often a process of the partition has gone on after it was parked. */
  #unparks = 0;
  #isDirty = false;
  #savedAt = performance.now();
  /** Position up to which events are seen. */
  sequence = 0;

  constructor(parts: AgendaParts, index: OpenIndex, signal: AbortSignal) {
    this.#parts = parts;
    this.#index = index;
    this.#signal = signal;
  }

  /** Nothing is known. */
  clear(): void {
    for (const map of [this.#open, this.#ready, this.#events, this.#waiting]) map.clear();
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
    for (const key of [...this.#ready.keys(), ...this.#busy.keys()]) {
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
    this.#isDirty = true;
    this.#open.set(key, item);
    const { actorId, deadline } = item;
    if (deadline !== undefined) {
      this.#clear(actorId, deadline.name, key);
      const own = this.#deadlines.get(actorId) ?? new Map<string, string>();
      this.#deadlines.set(actorId, own.set(deadline.name, key));
      this.#due.add({ at: deadline.at, key });
      return;
    }
    if (this.#busy.has(key)) return;
    this.#ready.set(key, item);
    if (event !== undefined) this.#events.set(key, event);
  }

  see(event: RecordedEvent): void {
    const { actorId, eventType, data } = event;
    if (eventType === LedgerType.issued) {
      const { id: name, together = false } = data as IssuedCommand;
      if (together) return; // It is handled.
      const { version, sequence, id: eventId } = event;
      const { actorId: lane } = data as IssuedCommand;
      this.open({ actorId, version, sequence, eventId, name, lane }, event);
    } else if (eventType === LedgerType.called) {
      const { id: name } = data as CalledEffect;
      const { version, sequence, id: eventId } = event;
      this.open({ actorId, version, sequence, eventId, name, lane: `effect ${name}` }, event);
    } else if (eventType === LedgerType.settled || eventType === LedgerType.effectEnded) {
      this.#close(keyOf({ actorId, name: (data as { id: string }).id }));
    } else if (eventType === LedgerType.deadlineSet) {
      const { name, at } = data as DeadlineSetData;
      const { version, sequence, id: eventId } = event;
      const place = { actorId, version, sequence, eventId };
      const deadline = { name, at: Date.parse(at) };
      this.open({ ...place, name: `deadline ${version}`, lane: `deadline ${name}`, deadline });
    } else if (eventType === LedgerType.deadlineCleared) {
      this.#clear(actorId, (data as { name: string }).name);
    } else if (eventType === LedgerType.unparked || eventType === LedgerType.ended) {
      this.#unparks++;
      if (eventType === LedgerType.ended) {
        for (const name of [...this.#deadlines.get(actorId)?.keys() ?? []]) {
          this.#clear(actorId, name);
        }
      }
      for (const [key, item] of this.#waiting) {
        if (item.actorId !== actorId) continue;
        this.#waiting.delete(key);
        this.#ready.set(key, item);
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
  }

  #close(key: string): void {
    this.#isDirty = true;
    for (const map of [this.#open, this.#ready, this.#events, this.#waiting]) map.delete(key);
  }

  /** Works until the partition is given up; resolves when nothing is under way any more. */
  async run(): Promise<void> {
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
    await Promise.all(this.#busy.values());
    if (this.#isDirty) await this.#save();
  }

  /** Begins what is to be done, and waits until there may be more. */
  async #turn(count: number): Promise<void> {
    const wait = await this.#takeDue();
    this.#start();
    const due = this.#savedAt + SAVE_EVERY - performance.now();
    if (!this.#isDirty || due > 0) {
      return await this.#pause(wait, this.#isDirty ? Math.max(1, due) : Infinity, count);
    }
    await this.#save();
    this.#savedAt = performance.now();
  }

  /** Makes deadlines ready that have come; gives the time until the next one, in ms. */
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
        if (now < at) return at - now;
      }
      this.#due.take();
      if (item !== undefined && this.#open.has(key)) this.#ready.set(key, item);
    }
    return Infinity;
  }

  /** Resolves at a change since `count`, after `ms`, or when the next deadline may have come. */
  async #pause(next: number, ms: number, count: number): Promise<void> {
    if (next === Infinity) return await this.#changed.wait(ms, this.#signal, count);
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#signal]);
    await Promise.race([
      this.#changed.wait(ms, signal, count),
      this.#parts.clock.wait(next, signal),
    ]);
    over.abort();
  }

  /** Begins the work that has its turn. */
  #start(): void {
    for (const [key, item] of this.#ready) {
      if (this.#busy.size >= AT_ONCE) return;
      const lane = `${item.actorId} ${item.lane}`;
      if (this.#lanes.has(lane)) continue;
      this.#lanes.add(lane);
      this.#ready.delete(key);
      const work = this.#work(key, item).finally(() => {
        this.#busy.delete(key);
        this.#lanes.delete(lane);
        this.#changed.notify();
      });
      this.#busy.set(key, work);
    }
  }

  async #work(key: string, item: OpenItem): Promise<void> {
    const { store, work, onError } = this.#parts;
    const unparks = this.#unparks;
    try {
      const event = this.#events.get(key) ?? await openingEvent(store, item, this.#signal);
      this.#events.delete(key);
      if (event === undefined) return this.#close(key); // The history has lost it.
      const end = await work({ ...item, event }, this.#signal);
      if (end === "done" || !this.#open.has(key)) return;
      // It may have gone on while the work was under way.
      (unparks === this.#unparks ? this.#waiting : this.#ready).set(key, item);
    } catch (error) {
      if (this.#signal.aborted) return;
      onError(error);
      await sleep(PAUSE, this.#signal);
      if (this.#open.has(key)) this.#ready.set(key, item);
    }
  }

  async #save(): Promise<void> {
    this.#isDirty = false;
    try {
      await this.#index.save({ sequence: this.sequence, items: [...this.#open.values()] });
    } catch (error) {
      this.#isDirty = true;
      if (!this.#signal.aborted) this.#parts.onError(error);
    }
  }
}

/** Does `work` until it succeeds. */
async function untilDone(
  signal: AbortSignal,
  onError: (error: unknown) => void,
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      onError(error);
      await sleep(PAUSE, signal);
    }
  }
}

function keyOf({ actorId, name }: Pick<OpenItem, "actorId" | "name">): string {
  return `${actorId} ${name}`;
}
