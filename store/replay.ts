import { backoff } from "./backoff.ts";
import { decodeEvent } from "./decode.ts";
import { readLast, readPage } from "./direct.ts";
import { CorruptEventError, StoreUnavailableError, StreamRegressedError } from "./errors.ts";
import type { Event } from "./event.ts";
import { headIn, type HeadReader, versionIn } from "./head_reader.ts";
import type { Head, Heads } from "./heads.ts";
import { numberIn, PREVIOUS, type StoredMessage } from "./stored_message.ts";
import type { StreamApi } from "./stream.ts";

/** Messages asked for at once. */
const PAGE = 512;

/**
 * Reads an actor's history whole. Its end is known before, from a replica that proves it has
 * all that this store was told of, else from the leader; a replica that falls short of that end
 * is helped out by the leader, so a replay is complete or an error, never short.
 */
export class Replay {
  readonly #api: StreamApi;
  readonly #heads: Heads;
  readonly #reader: HeadReader;
  readonly #pause: number;

  /** `pause`: how long one request may take, in ms. */
  constructor(api: StreamApi, heads: Heads, reader: HeadReader, pause: number) {
    this.#api = api;
    this.#heads = heads;
    this.#reader = reader;
    this.#pause = pause;
  }

  /** The actor's events at `fromVersion` and above, in order, each following on the one before. */
  async read(actorId: string, fromVersion: number): Promise<Event[]> {
    const known = this.#heads.get(actorId);
    // Where all that is known is older than what is wanted, only what is new has to be read.
    let after: Head = known !== undefined && known.version < fromVersion
      ? known
      : { version: 0, sequence: 0 };
    const [end, first] = await Promise.all([
      this.#end(actorId),
      this.#page(actorId, after.sequence, PAGE),
    ]);
    let page = first;
    const last = page.at(-1);
    if (last !== undefined && last.sequence < end.sequence && versionIn(last) < fromVersion) {
      const start = await this.#reader.find(actorId, fromVersion, end);
      if (start === undefined) return [];
      const follows = previousOf(start);
      if (follows >= fromVersion) throw missingBefore(start, actorId, fromVersion - 1);
      after = { version: follows, sequence: start.sequence - 1 };
      page = [];
    }
    const events: Event[] = [];
    read: for (;;) {
      for (const message of page) {
        const version = versionIn(message);
        // What is older than asked only says where the rest begins; its content may be anything.
        if (version >= fromVersion || version <= after.version) {
          if (previousOf(message) !== after.version) {
            // A page may have lost a message on its way, where a route between servers broke.
            const next = await this.#missing(actorId, after.sequence, end);
            if (next.sequence < message.sequence) {
              page = [next];
              continue read;
            }
          }
          events.push(eventIn(message, actorId, after.version));
        }
        after = { version, sequence: message.sequence };
      }
      if (after.sequence >= end.sequence) break;
      page = await this.#page(actorId, after.sequence, PAGE);
      if (page.length === 0) page = [await this.#missing(actorId, after.sequence, end)];
    }
    if (after.sequence > 0) this.#heads.raise(actorId, after, 0);
    return events;
  }

  /** Where the actor's history ends at least: after all that this store knows to be stored. */
  async #end(actorId: string): Promise<Head> {
    const asked = performance.now();
    const { sequence: known = 0 } = this.#heads.get(actorId) ?? {};
    const needed = this.#heads.highest;
    const subject = this.#reader.subjectOf(actorId);
    const subjects = [subject, this.#api.layout.genesis];
    const page = await readLast(this.#api, subjects, this.#pause);
    const head = headIn(page.messages.find((message) => message.subject === subject));
    if (page.upTo >= needed && head.sequence >= known) {
      this.#heads.raise(actorId, head, asked);
      return head;
    }
    return await this.#endByLeader(actorId, needed);
  }

  async #endByLeader(actorId: string, needed: number): Promise<Head> {
    let reached = 0;
    for (const retry = backoff(performance.now() + this.#pause);;) {
      const head = await this.#reader.read(actorId);
      reached = (await this.#api.info(this.#pause))?.state.last_seq ?? 0;
      if (reached >= needed) return head;
      if (!await retry(this.#api.wire)) break;
    }
    throw new StreamRegressedError(`stream "${this.#api.layout.stream}"`, needed, reached);
  }

  async #page(actorId: string, after: number, size: number): Promise<readonly StoredMessage[]> {
    const subject = this.#reader.subjectOf(actorId);
    return (await readPage(this.#api, subject, after + 1, size, this.#pause)).messages;
  }

  /** The next message by the leader's word, where a replica does not have it yet. */
  async #missing(actorId: string, after: number, end: Head): Promise<StoredMessage> {
    const message = await this.#reader.next(actorId, after);
    if (message !== undefined) return message;
    throw new StoreUnavailableError(
      `Cannot read "${actorId}" up to sequence ${end.sequence}: no replica has what follows ` +
        `on sequence ${after}; try again`,
    );
  }
}

/**
 * The event in `message`, which must follow on version `previous` of the actor.
 *
 * @throws {CorruptEventError} It is no event, or not the one that follows.
 */
export function eventIn(message: StoredMessage, actorId: string, previous: number): Event {
  const version = versionIn(message);
  if (previousOf(message) !== previous) throw missingBefore(message, actorId, previous);
  if (version <= previous) {
    throw new CorruptEventError(
      message.sequence,
      `version ${version} of "${actorId}" stands behind version ${previous}`,
    );
  }
  const event = decodeEvent(message.data, message.sequence, actorId);
  if (event.version !== version) {
    throw new CorruptEventError(
      message.sequence,
      `its body says version ${event.version}, its header ${version}`,
    );
  }
  return event;
}

function missingBefore(
  message: StoredMessage,
  actorId: string,
  previous: number,
): CorruptEventError {
  return new CorruptEventError(
    message.sequence,
    `version ${versionIn(message)} of "${actorId}" follows on version ${previousOf(message)}, ` +
      `but version ${previous} is what stands before it: events between them are lost`,
  );
}

function previousOf(message: StoredMessage): number {
  const previous = numberIn(message, PREVIOUS);
  if (previous === undefined) {
    throw new CorruptEventError(message.sequence, `it has no ${PREVIOUS} header`);
  }
  return previous;
}
