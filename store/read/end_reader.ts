import { isInstance } from "../base/text.ts";
import { StreamRegressedError } from "../errors.ts";
import { OP } from "../format/headers.ts";
import { asStreamSequence, positionOf, type StreamSequence } from "../format/position.ts";
import { backoff } from "../nats/backoff.ts";
import { OtherStreamError, readLastProved } from "../nats/direct_get.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { ApiError, type StreamApi } from "../nats/stream_api.ts";
import type { HeadCache } from "./heads.ts";
import type { StreamCheck } from "./stream_check.ts";

/** The status of an answer that would be of more subjects than the server gives at once. */
const TOO_MANY = 413;

/** Stands before the first message. */
const NONE = /* @__PURE__ */ asStreamSequence(0);

/** The end that is asked for. */
export interface EndQuery {
  /** An exact subject, or one with wildcards. */
  readonly subject: string;
  /** Its content, as errors name it. */
  readonly name: string;
  /** The sequence of a message that is known to be on it; 0 if none is. */
  readonly known: StreamSequence;
  /** Whether the leader is asked, which has the latest saves of other stores. */
  readonly latest: boolean;
}

/** The newest message that was seen, and how far who gave it has come, as far as that is known. */
interface Answer {
  readonly message: StoredMessage | undefined;
  readonly reached: StreamSequence;
}

/**
 * Finds where subjects end. No answer is believed by itself: a replica may lag, and a leader that
 * was deposed may not know it. Each has to prove that it has all that this store has heard of: by
 * its own position, which one direct request gives together with the last message, or by a message
 * that is no older. What is asked for separately proves nothing: another server may answer.
 */
export class EndReader {
  readonly #api: StreamApi;
  readonly #heads: HeadCache;
  readonly #check: StreamCheck;
  readonly #requestTimeout: number;
  readonly #replicated: boolean;

  /** `requestTimeout`: how long one request may take, in ms; `replicated`: whether there are followers. */
  constructor(
    api: StreamApi,
    heads: HeadCache,
    check: StreamCheck,
    requestTimeout: number,
    replicated: boolean,
  ) {
    this.#api = api;
    this.#heads = heads;
    this.#check = check;
    this.#requestTimeout = requestTimeout;
    this.#replicated = replicated;
  }

  /**
   * The last message of the subject, of all that this store has heard of and perhaps newer.
   *
   * @throws {StreamRegressedError} The stream ends before what was acknowledged, or is another one.
   */
  async last(query: EndQuery): Promise<StoredMessage | undefined> {
    const { name, known } = query;
    const due = this.#check.ensure();
    if (due !== undefined) await due;
    const needed = this.#heads.highest;
    for (const retry = backoff(performance.now() + this.#requestTimeout);;) {
      const { message, reached } = await this.#ask(query, needed);
      const sequence = sequenceOf(message);
      if (Math.max(sequence, reached) >= needed && sequence >= known) {
        if (message !== undefined) {
          this.#heads.mark(sequence, message.header(OP), performance.now());
        }
        return message;
      }
      if (await retry(this.#api.requests)) continue;
      this.#check.suspect();
      if (reached < needed) throw await this.#behind(needed);
      throw new StreamRegressedError(name, positionOf(known), positionOf(sequence));
    }
  }

  #ask(query: EndQuery, needed: StreamSequence): Promise<Answer> {
    if (isPattern(query.subject)) return this.#askForMany(query, needed);
    // Alone, the one replica is the leader; a store that has heard of nothing takes its answer as
    // it is.
    const leads = query.latest && (this.#replicated || needed === 0);
    return leads ? this.#askLeader(query, needed) : this.#askNearest(query, needed);
  }

  /** The leader; where its answer may be no proof, the nearest replica at the same time. */
  async #askLeader({ subject, known }: EndQuery, needed: StreamSequence): Promise<Answer> {
    const proof = needed > known ? this.#prove(subject) : undefined;
    proof?.catch(() => {}); // Awaited below, if it is needed.
    const led = await this.#lead(subject);
    if (sequenceOf(led) >= needed) return { message: led, reached: NONE };
    const { message, reached } = await (proof ?? this.#prove(subject));
    return { message: newer(led, message), reached };
  }

  /** The nearest replica; if that one falls short, the leader too. */
  async #askNearest({ subject, known }: EndQuery, needed: StreamSequence): Promise<Answer> {
    try {
      const { message, reached } = await this.#prove(subject);
      if (reached >= needed && sequenceOf(message) >= known) return { message, reached };
      return { message: newer(await this.#lead(subject), message), reached };
    } catch (error) {
      // Alone, the leader's answer is a proof too: nobody can have deposed it.
      if (!(error instanceof OtherStreamError) || this.#replicated) throw error;
      const message = await this.#lead(subject);
      return { message, reached: await this.#reached() };
    }
  }

  /**
   * If there are many subjects, the leader says which one ends last; a replica gives those that end
   * after that. Of more than it gives at once, the leader's own position has to do.
   */
  async #askForMany({ subject }: EndQuery, needed: StreamSequence): Promise<Answer> {
    const led = await this.#lead(subject);
    if (sequenceOf(led) >= needed) return { message: led, reached: NONE };
    try {
      const { message, reached } = await this.#prove(subject, sequenceOf(led));
      return { message: newer(led, message), reached };
    } catch (error) {
      const isTooMany = isInstance(error, ApiError) && error.status === TOO_MANY;
      if (!isTooMany && (!isInstance(error, OtherStreamError) || this.#replicated)) throw error;
      return { message: led, reached: await this.#reached() };
    }
  }

  #lead(subject: string): Promise<StoredMessage | undefined> {
    return this.#api.get({ last_by_subj: subject }, this.#requestTimeout);
  }

  /** By the nearest replica. The genesis is always there, so that there always is an answer. */
  async #prove(subject: string, from?: StreamSequence): Promise<Answer> {
    let message: StoredMessage | undefined;
    for (let first = from;;) {
      const page = await readLastProved(this.#api, [subject], this.#requestTimeout, first);
      this.#check.see(page.genesis);
      message = page.messages.at(-1) ?? message;
      // Large messages take several pages, the latest last.
      if (page.pending === 0 || page.messages.length === 0) {
        return { message, reached: asStreamSequence(page.upTo) };
      }
      first = asStreamSequence(message!.sequence + 1);
    }
  }

  async #reached(): Promise<StreamSequence> {
    return asStreamSequence((await this.#api.info(this.#requestTimeout))?.state.last_seq ?? 0);
  }

  /** Why no answer could be believed. */
  async #behind(needed: StreamSequence): Promise<Error> {
    const reached = await this.#reached();
    return reached < needed
      ? new StreamRegressedError(
        `stream "${this.#api.layout.stream}"`,
        positionOf(needed),
        positionOf(reached),
      )
      : new ApiError({ code: 503, description: `no replica in reach has come to ${needed} yet` });
  }
}

function newer(
  one: StoredMessage | undefined,
  other: StoredMessage | undefined,
): StoredMessage | undefined {
  return sequenceOf(one) >= sequenceOf(other) ? one : other;
}

function sequenceOf(message: StoredMessage | undefined): StreamSequence {
  return message?.sequence ?? NONE;
}

function isPattern(subject: string): boolean {
  return subject.split(".").some((token) => token === "*" || token === ">");
}
