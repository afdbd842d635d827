import { conflictOf, endMoved, expectationFailed } from "../check/refusals.ts";
import { comesAgain, differenceOf, idsOf, isAmong, KNOWN_IDS } from "../check/repeats.ts";
import type { ActorEnd } from "../command_log.ts";
import type { Commit, Event } from "../event.ts";
import { contentOf } from "../format/decode.ts";
import type { PreparedEvent } from "../format/encode.ts";
import {
  asStreamSequence,
  type Position,
  positionOf,
  type StreamSequence,
  streamSequenceOf,
} from "../format/position.ts";
import type { Member, Run } from "../format/runs.ts";

/** An event as it is kept: encoded, so that nothing of the caller's is shared. */
export interface KeptEvent extends PreparedEvent {
  readonly sequence: Position;
  readonly commit: Commit;
  /** The command that led to it. */
  readonly command: string | undefined;
  /** When it was stored, in ms since 1970. */
  readonly time: number;
  /** Its body, parsed at the first read: readers get copies. */
  original: Event | undefined;
}

/** A receipt as it is kept. */
export interface KeptReceipt {
  readonly actorId: string;
  readonly sequence: Position;
  readonly version: number;
  readonly commandId: string;
  readonly body: Uint8Array;
  readonly time: number;
}

/** The events of a store in memory, and the checks of a save against them. */
export class MemoryLog {
  readonly #events: KeptEvent[] = [];
  readonly #actors = new Map<string, KeptEvent[]>();
  /** The sequence before the first message: a stream has its genesis there. */
  #last = asStreamSequence(1);
  /** The last position that is taken. */
  #end = positionOf(this.#last);
  /** The last message of each actor that has one. */
  readonly #ends = new Map<string, StreamSequence>();
  readonly #receipts = new Map<string, KeptReceipt[]>();
  /** The receipts of all actors. */
  readonly #allReceipts: KeptReceipt[] = [];
  #grown = Promise.withResolvers<void>();

  /** All events in the order of the store; only ever grows. */
  get events(): readonly KeptEvent[] {
    return this.#events;
  }

  /** All receipts in the order of the store; only ever grows. */
  get receipts(): readonly KeptReceipt[] {
    return this.#allReceipts;
  }

  /** The last position that is taken. */
  get end(): Position {
    return this.#end;
  }

  /** Resolves when the log grows. */
  get grown(): Promise<void> {
    return this.#grown.promise;
  }

  /** The actors that have events. */
  get actors(): string[] {
    return [...this.#actors.keys()];
  }

  /** The events of one actor, from one version up to another. */
  historyOf(actorId: string, from: number = 0, to: number = Infinity): KeptEvent[] {
    const history = this.#actors.get(actorId) ?? [];
    return history.slice(firstAt(history, from), firstAt(history, to + 1));
  }

  /** The latest version of an actor; 0 if it has none. */
  latest(actorId: string): number {
    return this.#actors.get(actorId)?.at(-1)?.version ?? 0;
  }

  /** Where the actor ends, receipts included. */
  endOf(actorId: string): ActorEnd {
    return { version: this.latest(actorId), sequence: this.#ends.get(actorId) ?? 0 };
  }

  /** Where the actor ended before `sequence`, receipts included. */
  endBefore(actorId: string, sequence: Position): ActorEnd {
    const event = lastBefore(this.#actors.get(actorId) ?? [], sequence);
    const receipt = lastBefore(this.#receipts.get(actorId) ?? [], sequence);
    const last = Math.max(event?.sequence ?? 0, receipt?.sequence ?? 0);
    return { version: event?.version ?? 0, sequence: streamSequenceOf(last) };
  }

  /** The receipts of an actor, in order. */
  receiptsOf(actorId: string): readonly KeptReceipt[] {
    return this.#receipts.get(actorId) ?? [];
  }

  /** The event at a position. */
  at(sequence: number): KeptEvent | undefined {
    const event = this.#events[this.indexOf(sequence)];
    return event?.sequence === sequence ? event : undefined;
  }

  /** Index of the first event at position `sequence` or after. */
  indexOf(sequence: number): number {
    return firstWhere(this.#events, (event) => event.sequence >= sequence);
  }

  /** The position before the first event that was stored at `time` or later; else the end. */
  before(time: number): number {
    const first = this.#events.find((event) => event.time >= time);
    return first === undefined ? this.#end : first.sequence - 1;
  }

  /** Throws on a conflict; gives the position of the last event if all are stored already. */
  check(
    events: readonly PreparedEvent[],
    expect: ReadonlyMap<string, number>,
    ends: ReadonlyMap<string, ActorEnd> = new Map(),
  ): number | undefined {
    const latest = new Map<string, number>();
    for (const { actorId } of events) latest.set(actorId, this.latest(actorId));
    const isNew = ({ actorId, version }: PreparedEvent) => version > latest.get(actorId)!;
    if (events.every(isNew)) {
      const known = events.find((event) => isAmong(this.#lastIds(event.actorId), event.id));
      if (known !== undefined) throw comesAgain(known);
      for (const [actorId, expected] of expect) {
        const current = this.latest(actorId);
        if (current !== expected) throw expectationFailed(actorId, expected, current, events);
      }
      for (const [actorId, { version, sequence }] of ends) {
        const end = this.endOf(actorId);
        if (end.sequence !== sequence) throw endMoved(actorId, version, end.version, events);
      }
      return undefined;
    }
    let sequence = 0;
    for (const event of events) {
      const stored = this.#find(event);
      const difference = stored && differenceFrom(stored, event);
      if (stored === undefined || difference !== undefined) {
        // If nothing is stored, the actor that has moved on is named, not the first one.
        const moved = events.find((it) => !isNew(it))!;
        const isOther = isNew(event) && differenceFrom(this.#find(moved), moved) !== undefined;
        const culprit = isOther ? moved : event;
        const current = latest.get(culprit.actorId)!;
        throw conflictOf(culprit, current, culprit === event ? difference || undefined : undefined);
      }
      sequence = Math.max(sequence, stored.sequence);
    }
    return sequence;
  }

  /** Adds the events of one save; gives the position of the last one. */
  add(op: string, members: readonly Member[], runs: readonly Run[]): Position {
    const time = Date.now();
    const facts = members.length === 1
      ? factsOf(op, members[0]!)
      : members.flatMap((member, at) => factsOf(`${op}.${at}`, member));
    let at = 0;
    for (const { actorId, events } of runs) {
      this.#last = asStreamSequence(this.#last + 1);
      this.#ends.set(actorId, this.#last);
      const history = this.#actors.get(actorId) ?? [];
      this.#actors.set(actorId, history);
      for (const [index, event] of events.entries()) {
        const sequence = positionOf(this.#last, index);
        const stored = { ...event, sequence, ...facts[at++]!, time, original: undefined };
        history.push(stored);
        this.#events.push(stored);
        this.#end = sequence;
      }
    }
    const last = this.#end;
    // A gap after each batch, as in a stream: nobody may take one for a loss.
    if (runs.length > 1) {
      this.#last = asStreamSequence(this.#last + 1);
      this.#end = positionOf(this.#last);
    }
    this.#grown.resolve();
    this.#grown = Promise.withResolvers();
    return last;
  }

  /** Adds the outcome of a command that led to no event; gives its position. */
  addReceipt(actorId: string, commandId: string, body: Uint8Array): Position {
    this.#last = asStreamSequence(this.#last + 1);
    this.#end = positionOf(this.#last);
    this.#ends.set(actorId, this.#last);
    const receipts = this.#receipts.get(actorId) ?? [];
    this.#receipts.set(actorId, receipts);
    const version = this.latest(actorId);
    const receipt = {
      ...{ actorId, sequence: this.#end, version, commandId, body, time: Date.now() },
    };
    receipts.push(receipt);
    this.#allReceipts.push(receipt);
    return this.#end;
  }

  /** The ids in the actor's last message, as a stream has them at hand. */
  #lastIds(actorId: string): string | undefined {
    const end = this.#ends.get(actorId);
    const history = this.#actors.get(actorId) ?? [];
    return idsOf(history.slice(-KNOWN_IDS).filter((it) => streamSequenceOf(it.sequence) === end));
  }

  #find({ actorId, version }: PreparedEvent): KeptEvent | undefined {
    const history = this.#actors.get(actorId) ?? [];
    const found = history[firstAt(history, version)];
    return found?.version === version ? found : undefined;
  }
}

/** Index of the first event at `version` or above. */
function firstAt(history: readonly KeptEvent[], version: number): number {
  return firstWhere(history, (event) => event.version >= version);
}

/** The last one before a position. */
function lastBefore<T extends { readonly sequence: Position }>(
  kept: readonly T[],
  sequence: Position,
): T | undefined {
  return kept[firstWhere(kept, (it) => it.sequence >= sequence) - 1];
}

/** A binary search, for versions and sequences have gaps. */
function firstWhere<T>(events: readonly T[], holds: (event: T) => boolean): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(events[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function factsOf(op: string, { events, command }: Member): Pick<KeptEvent, "commit" | "command">[] {
  const { length: count } = events;
  return events.map((_, index) => {
    // Frozen, for all readers are given the same one.
    const commit = Object.freeze({ op, index, count });
    return { commit, command };
  });
}

/** How a stored event differs from `event`: `""` by its id; `undefined` if it is the same one. */
function differenceFrom(stored: KeptEvent | undefined, event: PreparedEvent): string | undefined {
  if (stored?.id !== event.id) return "";
  const { eventType, schema, body } = stored;
  return differenceOf(event, { eventType, schema, text: () => contentOf(body).text });
}
