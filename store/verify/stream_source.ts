import { StoreUnavailableError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { Layout } from "../format/layout.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";
import { EVERYTHING } from "../nats/consumer_config.ts";
import { attempt } from "../nats/retry.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { ReaderParts } from "../read/pages.ts";
import { readPages } from "../read/pages.ts";
import type { StoredRun } from "../read/stored_run.ts";
import type { VerifySource } from "./source.ts";

/** The messages of a stream. */
export class StreamSource implements VerifySource {
  readonly #parts: ReaderParts;

  /** Reads with the parts of a store. */
  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  get identity(): string {
    return this.#parts.check.identity;
  }

  get shards(): number {
    return this.#parts.shards;
  }

  get layout(): Layout {
    return this.#parts.api.layout;
  }

  /** See {@linkcode VerifySource.end}; not behind anything that the store has heard of. */
  async end(): Promise<StreamSequence> {
    const { api, heads, requestTimeout } = this.#parts;
    return await this.#attempt(async () => {
      const info = await api.info(requestTimeout);
      if (info === undefined) {
        throw new StoreUnavailableError(
          `Cannot verify the store: there is no stream "${api.layout.stream}"; restore it, or ` +
            "open the store again",
        );
      }
      return asStreamSequence(Math.max(info.state.last_seq, heads.highest));
    });
  }

  /** See {@linkcode VerifySource.pages}. Where the last messages are gone it ends before them. */
  async *pages(
    after: StreamSequence,
    end: StreamSequence,
    signal: AbortSignal,
  ): AsyncGenerator<readonly StoredMessage[], void> {
    let last = after;
    try {
      for await (
        const page of readPages(this.#parts, { subject: EVERYTHING, after, end, signal })
      ) {
        last = page.at(-1)!.sequence;
        yield page;
      }
    } catch (error) {
      // The messages that follow may be gone, which the walk finds out, or out of reach.
      const mayBeGone = error instanceof StoreUnavailableError || await this.#hasLostGenesis();
      if (!mayBeGone || signal.aborted) throw error;
      for await (const message of this.missed(asStreamSequence(last + 1), end)) {
        yield [message];
      }
    }
  }

  /** Whether the stream was purged: it is still there, and so cannot be another one. */
  async #hasLostGenesis(): Promise<boolean> {
    const { api, requestTimeout } = this.#parts;
    const query = { last_by_subj: this.layout.genesis };
    return await this.#attempt(() => api.get(query, requestTimeout)) === undefined;
  }

  /** See {@linkcode VerifySource.missed}; as the leader has them. */
  async *missed(first: StreamSequence, last: StreamSequence): AsyncGenerator<StoredMessage, void> {
    for (let from: number = first; from <= last;) {
      const message = await this.#next(EVERYTHING, from);
      if (message === undefined || message.sequence > last) return;
      yield message;
      from = message.sequence + 1;
    }
  }

  /** See {@linkcode VerifySource.isUnused}: a stream leaves no sequence out. */
  isUnused(): boolean {
    return false;
  }

  /** See {@linkcode VerifySource.at}. */
  async at(sequence: StreamSequence): Promise<StoredMessage | undefined> {
    const { api, requestTimeout } = this.#parts;
    if (sequence < 1) return undefined;
    return await this.#attempt(() => api.get({ seq: sequence }, requestTimeout));
  }

  /**
   * See {@linkcode VerifySource.lastBefore}. The leader finds the next message of a subject, not
   * the one before: a search of at most about 2 log2 of the distance.
   */
  async lastBefore(
    subject: string,
    sequence: StreamSequence,
  ): Promise<StoredMessage | undefined> {
    let found: StoredMessage | undefined;
    let low = 1;
    for (let width = 1; found === undefined; width *= 4) {
      low = Math.max(1, sequence - width);
      const message = await this.#next(subject, low);
      if (message !== undefined && message.sequence < sequence) found = message;
      else if (low === 1) return undefined;
    }
    low = found.sequence + 1;
    for (let high: number = sequence; low < high;) {
      const middle = Math.floor((low + high) / 2);
      const message = await this.#next(subject, middle);
      if (message !== undefined && message.sequence < sequence) {
        found = message;
        low = message.sequence + 1;
      } else high = middle;
    }
    return found;
  }

  /** See {@linkcode VerifySource.isUnborn}. */
  async isUnborn(actorId: string, sequence: StreamSequence): Promise<boolean> {
    const message = await this.#next(this.layout.unborn(actorId, this.shards), 1);
    return message !== undefined && message.sequence < sequence;
  }

  /** See {@linkcode VerifySource.eventAt}. */
  eventAt(run: StoredRun, index: number, actorId: string): Event | Promise<Event> {
    return this.#parts.events.eventAt(run, index, actorId);
  }

  #next(subject: string, sequence: number): Promise<StoredMessage | undefined> {
    const { api, requestTimeout } = this.#parts;
    const query = { seq: sequence, next_by_subj: subject };
    return this.#attempt(() => api.get(query, requestTimeout));
  }

  #attempt<T>(work: () => Promise<T>): Promise<T> {
    const { api, timeout } = this.#parts;
    return attempt(api.requests, timeout, "verify the store", work);
  }
}
