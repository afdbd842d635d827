import type { StreamInfo } from "@nats-io/jetstream";
import { categoryOf } from "../actor.ts";
import { unlessAborted } from "../base/abort.ts";
import { CorruptEventError, StreamRegressedError } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import { backoff } from "../nats/backoff.ts";
import { attempt } from "../nats/retry.ts";
import type { InfoQuery } from "../nats/stream_api.ts";
import type { EventFilter } from "../options.ts";
import { type ReaderParts, readPages } from "./pages.ts";

/** Reads the store as a whole, in its one order. */
export class Log {
  readonly #parts: ReaderParts;

  /** Reads with `parts`. */
  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /**
   * Yields the events from sequence `from` on, to the end as it is when the read begins; `count`
   * is called for each.
   */
  async *read(
    from: number,
    filter: EventFilter,
    signal: AbortSignal | undefined,
    count: () => void,
  ): AsyncGenerator<RecordedEvent, void> {
    const { headReader, events } = this.#parts;
    const { layout } = this.#parts.api;
    const { actorId, category, eventTypes } = filter;
    if (actorId !== undefined && category !== undefined && categoryOf(actorId) !== category) return;
    const subject = actorId === undefined ? layout.events(category) : headReader.subjectOf(actorId);
    const end = await unlessAborted(signal, this.#end(subject, filter));
    if (end < from) return;
    const types = eventTypes && new Set(eventTypes);
    for await (const page of readPages(this.#parts, { subject, after: from - 1, end, signal })) {
      for (const message of page) {
        const actor = layout.actorOf(message.subject);
        if (actor === undefined || headReader.subjectOf(actor) !== message.subject) {
          throw new CorruptEventError(
            message.sequence,
            `its subject "${message.subject}" is not one that this library writes`,
          );
        }
        const event = await unlessAborted(signal, events.eventIn(message, actor));
        signal?.throwIfAborted();
        if (types !== undefined && !types.has(event.eventType)) continue;
        count();
        yield { ...event, sequence: message.sequence };
      }
    }
    signal?.throwIfAborted();
  }

  /** Yields the actors that have events, in no order; the server keeps the list. */
  async *actors(category: string | undefined): AsyncGenerator<string, void> {
    const { api, timeout } = this.#parts;
    const subject = api.layout.events(category);
    for (let offset = 0;;) {
      const { state, total } = await attempt(
        api.requests,
        timeout,
        "list actors",
        () => this.#info({ subjects_filter: subject, offset }),
      );
      const subjects = Object.keys(state.subjects ?? {});
      for (const subject of subjects) {
        const actor = api.layout.actorOf(subject);
        if (actor !== undefined) yield actor;
      }
      offset += subjects.length;
      if (subjects.length === 0 || offset >= (total ?? 0)) return;
    }
  }

  /** The last sequence on `subject`, after all that this store was told of. */
  async #end(subject: string, { actorId, category }: EventFilter): Promise<number> {
    const { api, heads, headReader, ends, timeout } = this.#parts;
    const name = `"${subject}"`;
    const last = await attempt(api.requests, timeout, `read ${name}`, () => {
      if (actorId !== undefined) return headReader.last(actorId, true);
      const known = category === undefined ? heads.last : 0;
      return ends.last({ subject, name, known, latest: true });
    });
    return last?.sequence ?? 0;
  }

  /** The stream as a leader tells it that has all that this store was told of. */
  async #info(query?: InfoQuery): Promise<StreamInfo & { total?: number }> {
    const { api, requestTimeout } = this.#parts;
    const needed = this.#parts.heads.highest;
    for (const retry = backoff(performance.now() + requestTimeout);;) {
      const info = await api.info(requestTimeout, query);
      const reached = info?.state.last_seq ?? 0;
      if (info !== undefined && reached >= needed) return info;
      if (!await retry(api.requests)) {
        throw new StreamRegressedError(`stream "${api.layout.stream}"`, needed, reached);
      }
    }
  }
}
