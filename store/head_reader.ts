import { backoff } from "./backoff.ts";
import { CorruptEventError, StreamRegressedError } from "./errors.ts";
import type { Head, Heads } from "./heads.ts";
import { ID, numberIn, OP, PREVIOUS, type StoredMessage, VERSION } from "./stored_message.ts";
import { ApiError, type StreamApi } from "./stream.ts";
import { encodeToken } from "./token.ts";

/** Reads where an actor's history ends, and finds versions in it, by the leader's word. */
export class HeadReader {
  readonly #api: StreamApi;
  readonly #heads: Heads;
  readonly #shards: number;
  readonly #pause: number;

  /** `pause`: how long one request may take, in ms. */
  constructor(api: StreamApi, heads: Heads, shards: number, pause: number) {
    this.#api = api;
    this.#heads = heads;
    this.#shards = shards;
    this.#pause = pause;
  }

  /** The exact subject of the actor. */
  subjectOf(actorId: string): string {
    return this.#api.layout.event(actorId, this.#shards);
  }

  /**
   * The actor's head, asked of the server; the cache learns it. An answer that is behind what
   * this store was told before is asked again, for a deposed leader may have given it.
   *
   * @param last How the last message of a subject is asked for. @default {of the leader}
   * @throws {StreamRegressedError} The actor's history ends before what was acknowledged.
   * @throws {CorruptEventError} The last message is no event.
   */
  async read(
    actorId: string,
    last: (subject: string) => Promise<Head> = (subject) => this.#lastOf(subject),
  ): Promise<Head> {
    const subject = this.subjectOf(actorId);
    for (const retry = backoff(performance.now() + this.#pause);;) {
      const asked = performance.now();
      const known = this.#heads.get(actorId)?.sequence ?? 0;
      const head = await last(subject);
      if (head.sequence >= known) {
        this.#heads.raise(actorId, head, asked);
        return head;
      }
      if (!await retry(this.#api.wire)) {
        throw new StreamRegressedError(`"${actorId}"`, known, head.sequence);
      }
    }
  }

  async #lastOf(subject: string): Promise<Head> {
    return headIn(await this.#api.get({ last_by_subj: subject }, this.#pause));
  }

  /** The first message of the actor after `sequence`. */
  next(actorId: string, sequence: number): Promise<StoredMessage | undefined> {
    const query = { seq: sequence + 1, next_by_subj: this.subjectOf(actorId) };
    return this.#api.get(query, this.#pause);
  }

  /** The actor's message at `version` exactly; right behind sequence `after` it is found at once. */
  async at(
    actorId: string,
    version: number,
    head: Head,
    after?: number,
  ): Promise<StoredMessage | undefined> {
    if (version > head.version) return undefined;
    const next = after === undefined ? undefined : await this.next(actorId, after);
    if (next !== undefined && versionIn(next) === version) return next;
    const found = await this.find(actorId, version, head);
    return found !== undefined && versionIn(found) === version ? found : undefined;
  }

  /**
   * The actor's first message at `version` or above. Looked for where it is in a history that
   * was written in one go, then by a binary search over the sequences up to the head: about
   * log2 of that many requests, whatever lies between.
   */
  async find(actorId: string, version: number, head: Head): Promise<StoredMessage | undefined> {
    const guess = Math.max(0, head.sequence - (head.version - version) - 1);
    const guessed = await this.next(actorId, guess);
    if (guessed !== undefined && versionIn(guessed) === version) return guessed;
    for (let searches = 1;; searches++) {
      const found = await this.#search(actorId, version, head);
      if (found === undefined && head.version >= version) {
        throw new ApiError({ code: 503, description: "a deposed leader answers" });
      }
      // Answers of two leaders in one search can point too far; a gap does so every time.
      const follows = found === undefined || (numberIn(found, PREVIOUS) ?? 0) < version;
      if (follows || searches === 3) return found;
    }
  }

  async #search(
    actorId: string,
    version: number,
    head: Head,
  ): Promise<StoredMessage | undefined> {
    let found: StoredMessage | undefined;
    let low = 1;
    let high = head.sequence;
    while (low <= high) {
      const middle = Math.floor((low + high) / 2);
      const message = await this.next(actorId, middle - 1);
      if (message === undefined || message.sequence > high) {
        high = middle - 1;
      } else if (versionIn(message) >= version) {
        found = message;
        high = middle - 1;
      } else {
        low = message.sequence + 1;
      }
    }
    return found;
  }
}

/** The head that an actor's last message stands for. */
export function headIn(message: StoredMessage | undefined): Head {
  if (message === undefined) return { version: 0, sequence: 0 };
  return { version: versionIn(message), sequence: message.sequence };
}

/**
 * The version of the event in `message`.
 *
 * @throws {CorruptEventError} The message was not written by this library.
 */
export function versionIn(message: StoredMessage): number {
  const version = numberIn(message, VERSION);
  if (version === undefined || version < 1) {
    throw new CorruptEventError(
      message.sequence,
      `it has no ${VERSION} header, so something else wrote it to "${message.subject}"; ` +
        "revoke that writer's permission, read what is sound by getEventsWithErrors(), and go on " +
        "under another actor id: an event cannot be taken out of the stream",
    );
  }
  return version;
}

/** Whether `message` holds the event with this id. */
export function hasId(message: StoredMessage, id: string): boolean {
  return message.header(ID) === encodeToken(id);
}

/** Whether `message` was written by the save `op`. */
export function isOf(message: StoredMessage, op: string): boolean {
  return message.header(OP) === op;
}
