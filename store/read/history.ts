import { unlessAborted } from "../base/abort.ts";
import { forEachOf } from "../base/several.ts";
import type { Range } from "../check/query.ts";
import { isAetherError } from "../errors.ts";
import type { Event } from "../event.ts";
import { asStreamSequence, MAX_RUN, type StreamSequence } from "../format/position.ts";
import { attempt } from "../nats/retry.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { Head } from "./heads.ts";
import { headIn, missingBefore, NO_HEAD, previousOf, versionIn } from "./message_facts.ts";
import { isLong, type PagesQuery, type ReaderParts, readPages } from "./pages.ts";
import { StoredRun } from "./stored_run.ts";
import { BEGINNING, type RunSlice, VersionChain } from "./version_chain.ts";

/** Messages of the first page of an actor that is not known: most end within it. */
const GLANCE = 64;
/** Messages of the first page if a consumer is likely to give the others. */
const PEEK = 8;

/** Actors whose pages are under way at once, in a read of several. */
const ACTORS = 64;

/** A history whole. */
const ALL: Range = { from: 0, to: Number.MAX_SAFE_INTEGER, limit: Number.MAX_SAFE_INTEGER };

/** Versions that a backward read takes at once, to begin with. */
const BACK = 256;

/** Events that a backward read keeps at once at most. */
const MOST_BACK = 1024;

/** When the server vouched for a head that a read came by: it may not be the latest. */
const NEVER = -Infinity;

/**
 * Reads an actor's history whole. Its end is known before, from a replica that proves it has all
 * that this store has heard of, else from the leader; each event carries the version of the one
 * before it. So a read is complete or an error, never short.
 */
export class History {
  readonly #parts: ReaderParts;

  /** Reads with `parts`; it notes in their heads what it sees. */
  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /** The events of each of these actors, in the order of the actors. */
  async ofMany(actorIds: readonly string[]): Promise<Map<string, Event[]>> {
    const { api, timeout, manyEnds } = this.#parts;
    const what = `read events of ${actorIds.length} actors`;
    const ends = await attempt(
      api.requests,
      timeout,
      what,
      () => manyEnds.last(actorIds, false),
    );
    const histories = new Map<string, Event[]>(actorIds.map((actorId) => [actorId, []]));
    await forEachOf(actorIds, ACTORS, async (actorId) => {
      const last = ends.get(actorId);
      if (last === undefined && ends.has(actorId)) return;
      histories.set(actorId, await this.#whole(actorId, last));
    });
    return histories;
  }

  /** All events of an actor whose last message is at hand, if that was found. */
  async #whole(actorId: string, last: StoredMessage | undefined): Promise<Event[]> {
    const events: Event[] = [];
    for await (const page of this.forwards(actorId, ALL, last)) {
      for (const event of page) events.push(event);
    }
    return events;
  }

  /**
   * Yields events of the range in ascending order, a page at a time.
   *
   * @param given The actor's last message, if a reader has just read it.
   */
  async *forwards(
    actorId: string,
    range: Range,
    given?: StoredMessage,
  ): AsyncGenerator<Event[], void> {
    const { from, to, limit, signal } = range;
    if (to < from) return;
    const { heads, headReader } = this.#parts;
    const known = heads.get(actorId);
    const end = sequenceOf(given) < sequenceOf(known) ? undefined : given;
    if (end !== undefined && previousOf(end, actorId) === 0) {
      const chain = new VersionChain(actorId, from, BEGINNING);
      const events = await this.#decode(chain.follow([end], to), actorId, limit, signal);
      heads.raise(actorId, chain.head, NEVER);
      if (events.length > 0) yield events;
      return;
    }
    if (from > GLANCE && known !== undefined && known.version >= from) {
      yield* this.#tail(actorId, range, known);
      return;
    }
    // If the known head is before the range, only newer messages have to be read.
    const after = known !== undefined && known.version < from ? known : BEGINNING;
    const skips = from > after.version + 1;
    /** As many as there are if each has one event. */
    const expected = known === undefined ? 0 : known.version - after.version;
    const size = isLong(this.#parts, expected) ? PEEK : Math.max(GLANCE, expected + 1);
    const first = Math.min(size, limit + 1);
    let left = limit;
    const last = end === undefined ? this.#last(actorId) : Promise.resolve(end);
    /** The head that a search begins at; none if the last message is unreadable. */
    let head: Head | undefined;
    const chain = new VersionChain(actorId, from, after);
    for await (
      const page of readPages(this.#parts, {
        subject: headReader.subjectOf(actorId),
        after: after.sequence,
        end: last.then((message) => {
          head = readable(message, headIn);
          return sequenceOf(message);
        }),
        first,
        // Without a limit where some are passed over: they are not counted.
        ...!skips && limited(Math.min(limit, to - after.version)),
        // A message that ends before the range leads to a search, not to the next page.
        enough: (last) => {
          const version = readable(last, versionIn);
          return version !== undefined && (version >= to || version < from && head !== undefined);
        },
        signal,
      })
    ) {
      const newest = page.at(-1)!;
      if (
        chain.skipping && head !== undefined && newest.sequence < head.sequence &&
        versionIn(newest) < from
      ) {
        const start = await unlessAborted(signal, this.#find(actorId, from, head));
        if (start !== undefined) yield* this.#from(actorId, range, head.sequence, start);
        return;
      }
      const events = await this.#decode(chain.follow(page, to, left), actorId, left, signal);
      left -= events.length;
      heads.raise(actorId, chain.head, NEVER);
      if (events.length > 0) yield events;
      if (chain.head.version >= to || left <= 0) return;
    }
  }

  /** Yields the range if it begins before `known`: its place is looked for from there. */
  async *#tail(actorId: string, range: Range, known: Head): AsyncGenerator<Event[], void> {
    const { from, signal } = range;
    const parts = [this.#last(actorId), this.#find(actorId, from, known)] as const;
    const [last, start] = await unlessAborted(signal, Promise.all(parts));
    if (start !== undefined) yield* this.#from(actorId, range, sequenceOf(last), start);
  }

  /** Yields events of the range in descending order, a page at a time. */
  async *backwards(actorId: string, range: Range): AsyncGenerator<Event[], void> {
    const { from, limit, signal } = range;
    /** The latest end of the part that was not read yet. */
    let head = await unlessAborted(signal, this.#endHead(actorId));
    let to = Math.min(range.to, head.version);
    let least = Math.min(BACK, limit);
    let isLate = false;
    let span = least;
    while (to >= from && to > 0) {
      const start = Math.max(from, to - span + 1, 1);
      const part = { from: start, to, limit: to - start + 1, signal };
      const before = await this.#between(actorId, part, head);
      // Later messages may be of another stream that has taken the place of this one.
      if (isLate) await this.#attempt(actorId, () => this.#parts.check.prove());
      isLate = true;
      if (before === undefined) {
        span = Math.max(least, Math.floor(span / 8));
        continue;
      }
      const { events, first } = before;
      if (events.length > 0) yield events.reverse();
      if (first === undefined) return;
      // Versions may have gaps: a wide one is jumped over, of many the next step takes more.
      to = new StoredRun(first).versionAt(0) < start ? start - 1 : previousOf(first);
      head = headIn(first);
      least = BACK;
      if (events.length < BACK / 2) span = Math.min(span * 8, Number.MAX_SAFE_INTEGER);
      else span = Math.max(span, BACK);
    }
  }

  /**
   * The events of the range, which ends at `head` or before, and the first message that is not
   * before them; `undefined` if they are too many to be kept.
   */
  async #between(
    actorId: string,
    range: Range,
    head: Head,
  ): Promise<{ events: Event[]; first: StoredMessage | undefined } | undefined> {
    const events: Event[] = [];
    const first = await unlessAborted(range.signal, this.#find(actorId, range.from, head));
    if (first === undefined) return { events, first };
    for await (const page of this.#from(actorId, range, head.sequence, first)) {
      if (events.length + page.length > MOST_BACK) return undefined;
      events.push(...page);
    }
    return { events, first };
  }

  /** The actor's first message at `version` or above. */
  #find(actorId: string, version: number, head: Head): Promise<StoredMessage | undefined> {
    return this.#attempt(actorId, () => this.#parts.headReader.find(actorId, version, head));
  }

  /** Yields the range from `start`, which a search has found, up to sequence `upTo`. */
  async *#from(
    actorId: string,
    range: Range,
    upTo: StreamSequence,
    start: StoredMessage,
  ): AsyncGenerator<Event[], void> {
    const { from, to, limit, signal } = range;
    const { heads, headReader } = this.#parts;
    const previous = previousOf(start);
    if (previous >= from) throw missingBefore(start, actorId, from - 1);
    const after = { version: previous, sequence: asStreamSequence(start.sequence - 1) };
    const chain = new VersionChain(actorId, from, after);
    const subject = headReader.subjectOf(actorId);
    const first = Math.min(512, limit, to - from + 1);
    let left = limit;
    const enough = (last: StoredMessage) => (readable(last, versionIn) ?? 0) >= to;
    // Events of the first message that are before the range are not counted.
    const more = previous < from - 1 ? MAX_RUN : 0;
    const query = {
      subject,
      after: after.sequence,
      end: upTo,
      first,
      ...limited(limit + more),
      enough,
    };
    for await (const page of readPages(this.#parts, { ...query, signal })) {
      const events = await this.#decode(chain.follow(page, to, left), actorId, left, signal);
      left -= events.length;
      heads.raise(actorId, chain.head, NEVER);
      if (events.length > 0) yield events;
      if (chain.head.version >= to || left <= 0) return;
    }
  }

  /** At most `limit` events: what is behind those need not be readable. */
  async #decode(
    slices: readonly RunSlice[],
    actorId: string,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<Event[]> {
    const { events: reader } = this.#parts;
    const events: (Event | Promise<Event>)[] = [];
    for (const { run, start, end } of slices) {
      for (let at = start; at < end && events.length < limit; at++) {
        events.push(reader.eventAt(run, at, actorId));
      }
    }
    return events.some((event) => event instanceof Promise)
      ? await unlessAborted(signal, Promise.all(events))
      : events as Event[];
  }

  /** The actor's last message, of all that this store knows to be stored and perhaps newer. */
  #last(actorId: string): Promise<StoredMessage | undefined> {
    return this.#attempt(actorId, () => this.#parts.headReader.last(actorId, false));
  }

  async #endHead(actorId: string): Promise<Head> {
    const head = headIn(await this.#last(actorId));
    this.#parts.heads.raise(actorId, head, NEVER);
    return head;
  }

  #attempt<T>(actorId: string, work: () => Promise<T>): Promise<T> {
    const { api, timeout } = this.#parts;
    return attempt(api.requests, timeout, `read events of "${actorId}"`, work);
  }
}

function sequenceOf(end: Pick<StoredMessage, "sequence"> | undefined): StreamSequence {
  return end?.sequence ?? NO_HEAD.sequence;
}

/** Counts the events of pages if there may be too many: a bound that no history reaches is none. */
function limited(limit: number): Pick<PagesQuery, "limit" | "weigh"> {
  return limit < Number.MAX_SAFE_INTEGER / 2 ? { limit, weigh: eventsIn } : {};
}

/** The events in a message; of one that is unreadable the read itself tells, if it comes to it. */
function eventsIn(message: StoredMessage): number {
  return readable(message, (it) => new StoredRun(it).count) ?? 1;
}

/** What `read` finds in a message; `undefined` if that is unreadable: it may lie behind a bound. */
function readable<M extends StoredMessage | undefined, T>(
  message: M,
  read: (message: M) => T,
): T | undefined {
  try {
    return read(message);
  } catch (error) {
    if (isAetherError(error, "CorruptEventError")) return undefined;
    throw error;
  }
}
