import { isInstance } from "../base/text.ts";
import type { StreamSequence } from "../format/position.ts";
import { unlessAborted } from "../base/abort.ts";
import { StoreUnavailableError } from "../errors.ts";
import { backoff } from "../nats/backoff.ts";
import { BulkConsumer } from "../nats/bulk_consumer.ts";
import { OtherStreamError, type Page, readPage } from "../nats/direct_get.ts";
import { isOneTooMany, RequestError } from "../nats/request_error.ts";
import { attempt } from "../nats/retry.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StreamApi } from "../nats/stream_api.ts";
import type { EndReader } from "./end_reader.ts";
import type { EventReader } from "./event_reader.ts";
import type { HeadReader } from "./head_reader.ts";
import type { HeadCache } from "./heads.ts";
import type { Losses } from "./losses.ts";
import type { ManyEnds } from "./many_ends.ts";
import type { StreamCheck } from "./stream_check.ts";

/** Messages that are asked for at once, unless fewer will do. */
const PAGE = 512;
/**
 * Messages from which on a consumer is worth its making: a direct request costs the server three
 * times as much for each of them, but servers with followers first agree on the consumer.
 */
const LONG = { alone: 128, replicated: 512 } as const;
/** How long none is made where one was silent, in ms. */
const REST = 30_000;
/** How long a replica may take at first to answer for a page, in ms. */
const PATIENCE = 500;
/** How often replicas are asked for a page before the leader is. */
const TRIES = 3;

/** How reads are done: over which stream, and with what patience. */
export interface ReadParts {
  readonly api: StreamApi;
  /** Proves that the stream is the one that was opened. */
  readonly check: Pick<StreamCheck, "prove">;
  /** How long one request may take, in ms. */
  readonly requestTimeout: number;
  /** How long one page may take, over all tries, in ms; the leader may take as long again. */
  readonly timeout: number;
  /** Whether the stream has followers. */
  readonly replicated: boolean;
}

/** Whether so many messages are better read through a consumer. */
export function isLong({ replicated }: ReadParts, messages: number): boolean {
  return messages >= (replicated ? LONG.replicated : LONG.alone);
}

/** The parts that the reads of one store share. */
export interface ReaderParts extends ReadParts {
  readonly check: StreamCheck;
  readonly shards: number;
  readonly heads: HeadCache;
  readonly headReader: HeadReader;
  readonly losses: Losses;
  readonly ends: EndReader;
  readonly manyEnds: ManyEnds;
  readonly events: EventReader;
}

/** The part of a history that {@linkcode readPages} reads. */
export interface PagesQuery {
  /** An exact subject, or one with wildcards. */
  readonly subject: string;
  /** The sequence before the first one wanted. */
  readonly after: StreamSequence;
  /** The sequence that has to be reached; newer messages are left out. */
  readonly end: StreamSequence | Promise<StreamSequence>;
  /** Messages of the first page; the others are larger. */
  readonly first?: number;
  /** How much is enough, as `weigh` counts, so that no page behind it is fetched. @default {all} */
  readonly limit?: number;
  /** How much of the limit a message takes. @default {() => 1} */
  readonly weigh?: (message: StoredMessage) => number;
  /** Whether no page is wanted behind the one that ends with `last`. @default {() => false} */
  readonly enough?: (last: StoredMessage) => boolean;
  /** Ends the read by throwing the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Yields the messages of a subject in order, a page at a time, the next one under way while
 * this one is worked on. Pages come from any replica; where it falls short of the known end, the
 * leader helps out, so that the read is complete or an error. A later page is believed only once
 * the stream has proved to be the same one still.
 *
 * @throws {StoreUnavailableError} The end cannot be reached.
 */
export async function* readPages(
  parts: ReadParts,
  query: PagesQuery,
): AsyncGenerator<readonly StoredMessage[], void> {
  const { signal, weigh = () => 1 } = query;
  const source = new Source(parts, query.subject);
  let { after, limit: left = Infinity } = query;
  try {
    let next = source.page(after, query.first ?? PAGE);
    const end = await unlessAborted(signal, Promise.resolve(query.end));
    for (;;) {
      const page = await unlessAborted(signal, next);
      let messages: readonly StoredMessage[] = page.messages;
      // A page that goes beyond the known end may stop in the middle of a newer batch.
      if (messages.length > 0 && messages.at(-1)!.sequence > end) {
        messages = messages.filter(({ sequence }) => sequence <= end);
      }
      if (messages.length === 0) {
        if (after >= end) return;
        messages = [await source.nextByLeader(after, end)];
      }
      const last = messages.at(-1)!;
      after = last.sequence;
      if (left < Infinity) { for (const message of messages) left -= weigh(message); }
      const more = after < end && left > 0 && query.enough?.(last) !== true;
      if (more) next = source.later(after, Math.min(PAGE, left), Math.min(page.pending, left));
      else source.close();
      yield messages;
      if (!more) return;
    }
  } finally {
    source.close();
  }
}

/** Messages, and how many more there are behind them. */
type SourcePage = Pick<Page, "pending"> & { readonly messages: readonly StoredMessage[] };

/** The source of pages: direct requests, or a consumer if many messages are left. */
class Source {
  readonly #parts: ReadParts;
  readonly #subject: string;
  /** Doubles each time that the leader had to help out. */
  #patience = PATIENCE;
  #consumer: Promise<BulkConsumer> | undefined;
  /** Whether the consumer has proved to be the stream's: it dies with it. */
  #isProved = false;

  constructor(parts: ReadParts, subject: string) {
    this.#parts = parts;
    this.#subject = subject;
  }

  /** The messages after sequence `after`, about `size`. */
  page(after: StreamSequence, size: number): Promise<SourcePage> {
    const page = this.#direct(after, size);
    page.catch(() => {}); // Awaited by the reader, or not wanted any more.
    return page;
  }

  /** The same for a page behind another one, where `left` are there and wanted. */
  later(after: StreamSequence, size: number, left: number): Promise<SourcePage> {
    if (isLong(this.#parts, left) && this.#consumer === undefined) this.#begin(after);
    const page = this.#consumer === undefined
      ? this.#proved(this.#direct(after, size))
      : this.#consumed(this.#consumer, after, size);
    page.catch(() => {}); // Awaited by the reader, or not wanted any more.
    return page;
  }

  /** Any replica may be asked, and the next one where this one hangs; an empty page is the leader's to fill. */
  #direct(after: StreamSequence, size: number): Promise<SourcePage> {
    const { api, requestTimeout } = this.#parts;
    const patience = Math.min(requestTimeout, this.#patience);
    let silent = 0;
    return this.#attempt(async () => {
      try {
        return await readPage(api, this.#subject, after + 1, size, patience);
      } catch (error) {
        if (!(error instanceof OtherStreamError)) {
          const isSilent = isInstance(error, RequestError) && error.failure === "timeout";
          if (!isSilent || ++silent < TRIES) throw error;
          this.#patience *= 2; // It may be slow only: then the next page has more time.
        }
        return { messages: [], pending: 0 };
      }
    });
  }

  /** Direct requests do without a consumer that fails. */
  async #consumed(
    begun: Promise<BulkConsumer>,
    after: StreamSequence,
    size: number,
  ): Promise<SourcePage> {
    try {
      const messages = await (await begun).next(size);
      if (messages.length > 0) {
        const page = { messages, pending: 0 };
        if (!this.#isProved) await this.#proved(Promise.resolve(page));
        this.#isProved = true;
        return page;
      }
    } catch (error) {
      if (this.#consumer !== begun) throw error; // The reader has left, and closed it.
      // As if there were nothing: the reader knows where the end is.
      if (isInstance(error, RequestError) && error.failure === "timeout") this.#rest(error);
    }
    this.close();
    return await this.#proved(this.#direct(after, size));
  }

  /** A page, once the stream has proved after it that it is still the same one. */
  async #proved(page: Promise<SourcePage>): Promise<SourcePage> {
    const read = await page;
    await this.#attempt(() => this.#parts.check.prove());
    return read;
  }

  /** Begins a consumer, unless that failed a short while ago. */
  #begin(after: StreamSequence): void {
    const { api, requestTimeout } = this.#parts;
    if (performance.now() < api.consumersFrom) return;
    this.#isProved = false;
    this.#consumer = BulkConsumer.open(api, this.#subject, after, requestTimeout);
    this.#consumer.catch((error) => this.#rest(error));
  }

  /** No consumer for a while: if a server hangs, each would cost its reader the patience. */
  #rest(error: unknown): void {
    const isDenied = isInstance(error, RequestError) && error.failure === "denied" &&
      !isOneTooMany(error.cause); // That may pass.
    this.#parts.api.consumersFrom = isDenied ? Infinity : performance.now() + REST;
  }

  /** The message after sequence `after` by the leader's word, which is there up to `end`. */
  async nextByLeader(after: StreamSequence, end: StreamSequence): Promise<StoredMessage> {
    const { api, check, requestTimeout } = this.#parts;
    const query = { seq: after + 1, next_by_subj: this.#subject };
    // A follower may have given the end out a moment before the leader has it too.
    const retry = backoff(performance.now() + requestTimeout);
    do {
      const message = await this.#attempt(() => api.get(query, requestTimeout));
      await this.#attempt(() => check.prove());
      if (message !== undefined && message.sequence <= end) return message;
      if (message !== undefined) break;
    } while (await retry(api.requests));
    throw new StoreUnavailableError(
      `Cannot read "${this.#subject}" up to sequence ${end}: no replica has what follows on ` +
        `sequence ${after}; try again`,
    );
  }

  /** Ends the consumer if there is one; the reader need not wait for that. */
  close(): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer !== undefined) this.#parts.api.leave(consumer.then((it) => it.close(), () => {}));
  }

  #attempt<T>(work: () => Promise<T>): Promise<T> {
    const { api, timeout } = this.#parts;
    return attempt(api.requests, timeout, `read "${this.#subject}"`, work);
  }
}
