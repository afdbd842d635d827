import { unlessAborted } from "./abort.ts";
import { attempt } from "./attempt.ts";
import { readPage } from "./direct.ts";
import type { Ends } from "./ends.ts";
import { StoreUnavailableError } from "./errors.ts";
import type { EventReader } from "./event_reader.ts";
import type { HeadReader } from "./head_reader.ts";
import type { Heads } from "./heads.ts";
import type { StoredMessage } from "./stored_message.ts";
import type { StreamApi } from "./stream.ts";

/** Messages that are asked for at once, unless fewer will do. */
const PAGE = 512;

/** How reads are done: over which stream, and with what patience. */
export interface ReadParts {
  readonly api: StreamApi;
  /** How long one request may take, in ms. */
  readonly pause: number;
  /** How long one page may take, over all tries, in ms. */
  readonly timeout: number;
}

/** What the reads of one store share. */
export interface ReaderParts extends ReadParts {
  readonly heads: Heads;
  readonly heading: HeadReader;
  readonly ends: Ends;
  readonly events: EventReader;
}

/** What {@linkcode readPages} reads. */
export interface PagesQuery {
  /** An exact subject, or one with wildcards. */
  readonly subject: string;
  /** The sequence before the first one wanted. */
  readonly after: number;
  /** The sequence that has to be reached; what is newer is left out. */
  readonly end: number | Promise<number>;
  /** Messages of the first page; the others are larger. */
  readonly first?: number;
  /** Messages that are enough, so that no page behind them is fetched. @default {all} */
  readonly limit?: number;
  /** Whether no page is wanted behind the one that ends with `last`. @default {() => false} */
  readonly enough?: (last: StoredMessage) => boolean;
  /** Ends the read by throwing the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Yields the messages of a subject in order, a page at a time, the next one under way while
 * this one is worked on. Pages come from the nearest replica; where it falls short of the known
 * end, the leader helps out, so that the read is complete or an error.
 *
 * @throws {StoreUnavailableError} The end cannot be reached.
 */
export async function* readPages(
  { api, pause, timeout }: ReadParts,
  query: PagesQuery,
): AsyncGenerator<readonly StoredMessage[], void> {
  const { subject, signal } = query;
  let { after, limit: left = Infinity } = query;
  const read = (size: number) => {
    const page = attempt(
      api.wire,
      timeout,
      `read "${subject}"`,
      () => readPage(api, subject, after + 1, size, pause),
    );
    page.catch(() => {}); // Awaited below, or not wanted any more.
    return page;
  };
  let next = read(query.first ?? PAGE);
  const end = await unlessAborted(signal, Promise.resolve(query.end));
  for (;;) {
    let { messages }: { messages: readonly StoredMessage[] } = await unlessAborted(signal, next);
    // A page that goes beyond the known end may stop in the middle of a newer batch.
    messages = messages.filter(({ sequence }) => sequence <= end);
    if (messages.length === 0) {
      if (after >= end) return;
      messages = [await nextByLeader(subject, end)];
    }
    const last = messages.at(-1)!;
    after = last.sequence;
    left -= messages.length;
    const more = after < end && left > 0 && query.enough?.(last) !== true;
    if (more) next = read(PAGE);
    yield messages;
    if (!more) return;
  }

  async function nextByLeader(subject: string, end: number): Promise<StoredMessage> {
    const message = await attempt(
      api.wire,
      timeout,
      `read "${subject}"`,
      () => api.get({ seq: after + 1, next_by_subj: subject }, pause),
    );
    if (message !== undefined && message.sequence <= end) return message;
    throw new StoreUnavailableError(
      `Cannot read "${subject}" up to sequence ${end}: no replica has what follows on sequence ` +
        `${after}; try again`,
    );
  }
}
