import { unlessAborted } from "./abort.ts";
import { attempt } from "./attempt.ts";
import { backoff } from "./backoff.ts";
import { readLast } from "./direct.ts";
import { CorruptEventError, StreamRegressedError } from "./errors.ts";
import type { Event } from "./event.ts";
import { headIn, type HeadReader, versionIn } from "./head_reader.ts";
import type { Head, Heads } from "./heads.ts";
import type { EventReader } from "./event_reader.ts";
import { missingBefore, previousOf } from "./event_reader.ts";
import { readPages, type ReadParts } from "./pages.ts";
import type { StoredMessage } from "./stored_message.ts";

/** Messages of the first page where a later version is wanted: most actors end within it. */
const GLANCE = 128;
/** Versions that a backward read takes at once, to begin with. */
const BACK = 256;
/** Events that a backward read keeps at once at most. */
const MOST_BACK = 1024;

/** When the server vouched for a head that a read came by: it may not be the latest. */
const NEVER = -Infinity;

/** What of an actor's history is wanted. */
export interface Range {
  readonly from: number;
  readonly to: number;
  /** Events that are enough, so that no more than a page of them is fetched. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads an actor's history whole. Its end is known before, from a replica that proves it has
 * all that this store was told of, else from the leader; each event carries the version of the
 * one before it. So a read is complete or an error, never short.
 */
export class History {
  readonly #parts: ReadParts;
  readonly #heads: Heads;
  readonly #heading: HeadReader;
  readonly #events: EventReader;

  /** Reads with `parts`; what it sees is noted in `heads`. */
  constructor(parts: ReadParts, heads: Heads, heading: HeadReader, events: EventReader) {
    this.#parts = parts;
    this.#heads = heads;
    this.#heading = heading;
    this.#events = events;
  }

  /** Yields events of the range in ascending order, a page at a time. */
  async *forwards(actorId: string, range: Range): AsyncGenerator<Event[], void> {
    const { from, to, limit, signal } = range;
    if (to < from) return;
    const known = this.#heads.get(actorId);
    // Where all that is known is older than what is wanted, only what is new has to be read.
    const after = known !== undefined && known.version < from ? known : BEGINNING;
    const skips = from > after.version + 1;
    const first = Math.min(skips ? GLANCE : 512, limit + 1);
    const end = this.#end(actorId);
    const chain = new Chain(actorId, from, after);
    for await (
      const page of readPages(this.#parts, {
        subject: this.#heading.subjectOf(actorId),
        after: after.sequence,
        end: end.then(({ sequence }) => sequence),
        first,
        // Without a limit where some are passed over: they are not counted.
        ...!skips && { limit },
        // What ends before the range leads to a search, not to the next page.
        enough: (last) => versionIn(last) >= to || versionIn(last) < from,
        signal,
      })
    ) {
      const last = page.at(-1)!;
      if (chain.skipping && last.sequence < (await end).sequence && versionIn(last) < from) {
        const head = headIn((await end).message);
        const start = await unlessAborted(signal, this.#find(actorId, from, head));
        if (start !== undefined) yield* this.#from(actorId, range, head, start);
        return;
      }
      const events = await this.#decode(chain.follow(page, to), actorId, signal);
      this.#heads.raise(actorId, chain.head, NEVER);
      if (events.length > 0) yield events;
      if (chain.head.version >= to) return;
    }
  }

  /** Yields events of the range in descending order, a page at a time. */
  async *backwards(actorId: string, range: Range): AsyncGenerator<Event[], void> {
    const { from, limit, signal } = range;
    /** Where what was not read yet ends at the latest. */
    let head = await unlessAborted(signal, this.#endHead(actorId));
    let to = Math.min(range.to, head.version);
    let least = Math.min(BACK, limit);
    let span = least;
    while (to >= from && to > 0) {
      const start = Math.max(from, to - span + 1, 1);
      const part = { from: start, to, limit: to - start + 1, signal };
      const before = await this.#between(actorId, part, head);
      if (before === undefined) {
        span = Math.max(least, Math.floor(span / 8));
        continue;
      }
      const { events, first } = before;
      if (events.length > 0) yield events.reverse();
      if (first === undefined) return;
      // Versions may have gaps: a wide one is jumped over, of many the next step takes more.
      to = previousOf(first);
      head = headIn(first);
      least = BACK;
      if (events.length < BACK / 2) span = Math.min(span * 8, Number.MAX_SAFE_INTEGER);
      else span = Math.max(span, BACK);
    }
  }

  /** All events that can be read, beside the errors of what cannot. */
  async withErrors(
    actorId: string,
  ): Promise<{ events: Event[]; errors: { sequence: number; error: CorruptEventError }[] }> {
    const events: Event[] = [];
    const errors: { sequence: number; error: CorruptEventError }[] = [];
    const subject = this.#heading.subjectOf(actorId);
    const end = this.#end(actorId).then(({ sequence }) => sequence);
    let version = 0;
    for await (const page of readPages(this.#parts, { subject, after: 0, end })) {
      for (const message of page) {
        const { sequence } = message;
        try {
          const previous = previousOf(message);
          const event = await this.#events.eventIn(message, actorId);
          if (previous !== version) {
            errors.push({ sequence, error: missingBefore(message, actorId, version) });
          }
          if (event.version <= version) {
            const error = notGrowing(message, actorId, { version, sequence });
            errors.push({ sequence, error });
            continue;
          }
          events.push(event);
          version = event.version;
        } catch (error) {
          if (!(error instanceof CorruptEventError)) throw error;
          errors.push({ sequence, error });
          version = chained(message, version);
        }
      }
    }
    return { events, errors };
  }

  /**
   * The events of the range, which ends at `head` or before, and the first message that is not
   * before them; `undefined` where they are too many to be kept.
   */
  async #between(
    actorId: string,
    range: Range,
    head: Head,
  ): Promise<{ events: Event[]; first: StoredMessage | undefined } | undefined> {
    const events: Event[] = [];
    const first = await unlessAborted(range.signal, this.#find(actorId, range.from, head));
    if (first === undefined) return { events, first };
    for await (const page of this.#from(actorId, range, head, first)) {
      if (events.length + page.length > MOST_BACK) return undefined;
      events.push(...page);
    }
    return { events, first };
  }

  /** The actor's first message at `version` or above. */
  #find(actorId: string, version: number, head: Head): Promise<StoredMessage | undefined> {
    return this.#attempt(actorId, () => this.#heading.find(actorId, version, head));
  }

  /** Yields the range from `start`, where a search has found it, up to `head`. */
  async *#from(
    actorId: string,
    range: Range,
    head: Head,
    start: StoredMessage,
  ): AsyncGenerator<Event[], void> {
    const { from, to, limit, signal } = range;
    const previous = previousOf(start);
    if (previous >= from) throw missingBefore(start, actorId, from - 1);
    const after = { version: previous, sequence: start.sequence - 1 };
    const chain = new Chain(actorId, from, after);
    const subject = this.#heading.subjectOf(actorId);
    const first = Math.min(512, limit, to - from + 1);
    const enough = (last: StoredMessage) => versionIn(last) >= to;
    const query = { subject, after: after.sequence, end: head.sequence, first, limit, enough };
    for await (const page of readPages(this.#parts, { ...query, signal })) {
      const events = await this.#decode(chain.follow(page, to), actorId, signal);
      if (events.length > 0) yield events;
      if (chain.head.version >= to) return;
    }
  }

  async #decode(
    messages: readonly StoredMessage[],
    actorId: string,
    signal: AbortSignal | undefined,
  ): Promise<Event[]> {
    const events = messages.map((message) => this.#events.eventIn(message, actorId));
    return events.some((event) => event instanceof Promise)
      ? await unlessAborted(signal, Promise.all(events))
      : events as Event[];
  }

  /** Where the actor's history ends at least: after all that this store knows to be stored. */
  async #end(actorId: string): Promise<{ sequence: number; message?: StoredMessage | undefined }> {
    return await this.#attempt(actorId, async () => {
      const { api, pause } = this.#parts;
      const known = this.#heads.get(actorId)?.sequence ?? 0;
      const needed = this.#heads.highest;
      const subject = this.#heading.subjectOf(actorId);
      const page = await readLast(api, [subject, api.layout.genesis], pause);
      const message = page.messages.find((message) => message.subject === subject);
      const sequence = message?.sequence ?? 0;
      if (page.upTo >= needed && sequence >= known) return { sequence, message };
      return await this.#endByLeader(actorId, needed, known);
    });
  }

  async #endByLeader(
    actorId: string,
    needed: number,
    known: number,
  ): Promise<{ sequence: number; message?: StoredMessage | undefined }> {
    const { api, pause } = this.#parts;
    let reached = 0;
    let sequence = 0;
    for (const retry = backoff(performance.now() + pause);;) {
      const message = await api.get(
        { last_by_subj: this.#heading.subjectOf(actorId) },
        pause,
      );
      sequence = message?.sequence ?? 0;
      reached = (await api.info(pause))?.state.last_seq ?? 0;
      if (reached >= needed && sequence >= known) return { sequence, message };
      if (!await retry(api.wire)) break;
    }
    if (sequence < known) throw new StreamRegressedError(`"${actorId}"`, known, sequence);
    throw new StreamRegressedError(`stream "${api.layout.stream}"`, needed, reached);
  }

  async #endHead(actorId: string): Promise<Head> {
    const head = headIn((await this.#end(actorId)).message);
    this.#heads.raise(actorId, head, NEVER);
    return head;
  }

  #attempt<T>(actorId: string, work: () => Promise<T>): Promise<T> {
    const { api, timeout } = this.#parts;
    return attempt(api.wire, timeout, `read events of "${actorId}"`, work);
  }
}

const BEGINNING: Head = { version: 0, sequence: 0 };

/** Follows an actor's messages, each of which must follow on the one before. */
class Chain {
  /** Where the chain has come. */
  head: Head;
  /** Whether nothing of the range was seen yet. */
  skipping = true;
  readonly #actorId: string;
  readonly #from: number;

  constructor(actorId: string, from: number, after: Head) {
    this.#actorId = actorId;
    this.#from = from;
    this.head = after;
  }

  /** Those of `page` that are in the range. */
  follow(page: readonly StoredMessage[], to: number): StoredMessage[] {
    const wanted: StoredMessage[] = [];
    for (const message of page) {
      const version = versionIn(message);
      // What is older than asked only says where the rest begins; its content may be anything.
      if (version >= this.#from || version <= this.head.version) {
        const previous = previousOf(message);
        // The first one wanted may follow on one that is not, which nobody has to have seen.
        const follows = this.skipping
          ? previous >= this.head.version && previous < Math.max(this.#from, 1)
          : previous === this.head.version;
        if (!follows) throw missingBefore(message, this.#actorId, this.head.version);
        if (version <= this.head.version) throw notGrowing(message, this.#actorId, this.head);
        this.skipping = false;
        if (version <= to) wanted.push(message);
      }
      this.head = { version, sequence: message.sequence };
    }
    return wanted;
  }
}

function notGrowing(message: StoredMessage, actorId: string, before: Head): CorruptEventError {
  return new CorruptEventError(
    message.sequence,
    `version ${versionIn(message)} of "${actorId}" stands behind version ${before.version}`,
  );
}

/** The version to go on with behind a message that cannot be read. */
function chained(message: StoredMessage, version: number): number {
  try {
    return Math.max(version, versionIn(message));
  } catch {
    return version;
  }
}
