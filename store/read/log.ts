import { categoryOf } from "../actor.ts";
import { unlessAborted } from "../base/abort.ts";
import { StreamRegressedError } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import {
  asStreamSequence,
  messageSequenceOf,
  type Position,
  positionOf,
  type StreamSequence,
} from "../format/position.ts";
import { backoff } from "../nats/backoff.ts";
import { attempt } from "../nats/retry.ts";
import type { InfoQuery } from "../nats/stream_api.ts";
import type { EventFilter } from "../options.ts";
import { NO_HEAD } from "./message_facts.ts";
import { type ReaderParts, readPages } from "./pages.ts";
import { openRunFrom, typeFilter } from "./run_filter.ts";
import { listSubjects, type SubjectPage } from "./subject_list.ts";

/** Reads the store as a whole, in its one order. */
export class Log {
  readonly #parts: ReaderParts;

  /** Reads with `parts`. */
  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /**
   * Yields the events from position `from` on, to the end as it is when the read begins; calls
   * `count` for each.
   */
  async *read(
    from: Position,
    filter: EventFilter,
    signal: AbortSignal | undefined,
    count: () => void,
  ): AsyncGenerator<RecordedEvent, void> {
    const { headReader, events, losses, api: { layout } } = this.#parts;
    const { actorId, category, eventTypes } = filter;
    if (actorId !== undefined && category !== undefined && categoryOf(actorId) !== category) return;
    const subject = actorId === undefined ? layout.events(category) : headReader.subjectOf(actorId);
    const [end] = await unlessAborted(
      signal,
      Promise.all([this.#end(subject, filter), this.#prove("read the store"), this.#look()]),
    );
    const first = messageSequenceOf(from);
    if (end < first) return;
    const isWanted = typeFilter(eventTypes);
    const after = asStreamSequence(Math.max(0, first - 1));
    const complete = losses.follow(after, actorId !== undefined);
    for await (const page of readPages(this.#parts, { subject, after, end, signal })) {
      for (const message of page) {
        const opened = openRunFrom(this.#parts, message, from);
        if (opened === undefined) {
          complete.pass();
          continue;
        }
        const { run, actorId } = opened;
        try {
          complete.take(run, actorId);
        } catch (error) {
          const { api, timeout } = this.#parts;
          const explain = () => complete.explain(error, run, actorId);
          throw await unlessAborted(
            signal,
            attempt(api.requests, timeout, "read the store", explain),
          );
        }
        for (let at = 0; at < run.count; at++) {
          if (run.positionAt(at) < from || !isWanted(run, at)) continue;
          const event = await unlessAborted(signal, events.eventAt(run, at, actorId));
          signal?.throwIfAborted();
          count();
          yield { ...event, sequence: run.positionAt(at), commit: run.commitAt(at) };
        }
      }
    }
    // Messages that were lost meanwhile may have been passed over.
    await unlessAborted(signal, this.#look());
    if (actorId === undefined) losses.follow(after, false).end(end);
    signal?.throwIfAborted();
  }

  /**
   * Yields the actors that have events, in no order; the server keeps the list. Asked shard by
   * shard, as the server sorts the whole list for each page of it.
   */
  async *actors(category: string | undefined): AsyncGenerator<string, void> {
    const { headReader, api: { layout } } = this.#parts;
    await this.#prove("list actors");
    const unborn = new Set<string>();
    for await (const [subject] of this.#subjects(layout.allUnborn(category))) {
      const actorId = layout.unbornActorOf(subject);
      if (actorId !== undefined) unborn.add(actorId);
    }
    for (let shard = 0; shard < this.#parts.shards; shard++) {
      for await (const [subject] of this.#subjects(layout.events(category, shard))) {
        const actorId = headReader.actorOf(subject);
        if (actorId === undefined) continue;
        if (!unborn.has(actorId) || await this.#hasEvents(actorId)) yield actorId;
      }
    }
  }

  /** Proves that the stream is the one that was opened: no answer about many actors says so. */
  #prove(what: string): Promise<void> {
    const { api, check, timeout } = this.#parts;
    return attempt(api.requests, timeout, what, () => check.prove());
  }

  /** Asks what is lost. */
  #look(): Promise<void> {
    const { api, losses, timeout } = this.#parts;
    return attempt(api.requests, timeout, "read the store", () => losses.look());
  }

  /** Whether the actor has events, and not only receipts of commands that led to none. */
  async #hasEvents(actorId: string): Promise<boolean> {
    const { api, timeout, headReader } = this.#parts;
    const head = await attempt(
      api.requests,
      timeout,
      `look up the latest version of "${actorId}"`,
      () => headReader.read(actorId),
    );
    return head.version > 0;
  }

  /** The subjects that match a pattern and have messages. */
  #subjects(pattern: string): AsyncGenerator<[subject: string, messages: number], void> {
    const { api, timeout } = this.#parts;
    return listSubjects((offset) =>
      attempt(
        api.requests,
        timeout,
        "list actors",
        () => this.#info({ subjects_filter: pattern, offset }),
      )
    );
  }

  /** The last sequence on `subject`, after all that this store has heard of. */
  async #end(subject: string, { actorId, category }: EventFilter): Promise<StreamSequence> {
    const { api, heads, headReader, ends, timeout } = this.#parts;
    const name = `"${subject}"`;
    const last = await attempt(api.requests, timeout, `read ${name}`, () => {
      if (actorId !== undefined) return headReader.last(actorId, true);
      const known = category === undefined ? heads.last : NO_HEAD.sequence;
      return ends.last({ subject, name, known, latest: true });
    });
    return last?.sequence ?? NO_HEAD.sequence;
  }

  /** The stream as a leader tells it that has all that this store has heard of. */
  async #info(query?: InfoQuery): Promise<SubjectPage> {
    const { api, check, requestTimeout } = this.#parts;
    const needed = this.#parts.heads.highest;
    for (const retry = backoff(performance.now() + requestTimeout);;) {
      const info = await api.info(requestTimeout, query);
      const reached = info?.state.last_seq ?? 0;
      if (info !== undefined && reached >= needed) return info;
      if (!await retry(api.requests)) {
        check.suspect();
        throw new StreamRegressedError(
          `stream "${api.layout.stream}"`,
          positionOf(needed),
          positionOf(asStreamSequence(reached)),
        );
      }
    }
  }
}
