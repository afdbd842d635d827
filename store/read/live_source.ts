import { isInstance } from "../base/text.ts";
import { unlessAborted } from "../base/abort.ts";
import { prepareReadAll, queryAsGiven } from "../check/query.ts";
import { StreamRegressedError } from "../errors.ts";
import { ID, OP } from "../format/headers.ts";
import {
  asStreamSequence,
  MAX_RUN,
  messageSequenceOf,
  positionOf,
  type StreamSequence,
} from "../format/position.ts";
import { backoff } from "../nats/backoff.ts";
import { failed } from "../nats/failure.ts";
import { LiveConsumer } from "../nats/live_consumer.ts";
import { RequestError } from "../nats/request_error.ts";
import { attempt } from "../nats/retry.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { ApiError, isPassing, ServerCode } from "../nats/stream_api.ts";
import type { EventFilter, EventSubscriptionOptions } from "../options.ts";
import type { ReaderParts } from "./pages.ts";
import type { LossReader } from "./losses.ts";
import { openRunFrom, typeFilter } from "./run_filter.ts";
import { StoredRun } from "./stored_run.ts";
import {
  type EventSource,
  type Followed,
  isOfActor,
  type PassedEvent,
  type SubscriptionStart,
} from "../subscription.ts";

/** The shortest heartbeat that the server takes, in ms. */
const SHORTEST_HEARTBEAT = 100;

/**
 * The events of a stream, those that are stored and those that come, by one feed after another.
 * They stay whole by the place of the last one alone: each feed begins right after it, and is
 * believed only once the stream has proved to be the same one, with that event in that place.
 */
export class LiveSource implements EventSource {
  readonly #parts: ReaderParts;
  readonly #options: EventSubscriptionOptions;
  /**
   * Consumers that may be on the server, and how often it has to deny that: one that it did not
   * say it had made may be made late.
   */
  readonly #consumers = new Map<string, number>();
  /** The request under way that makes one. */
  #making: Promise<LiveConsumer> | undefined;

  /** Follows what `options` ask for at present. */
  constructor(parts: ReaderParts, options: EventSubscriptionOptions) {
    this.#parts = parts;
    this.#options = queryAsGiven(options);
  }

  /** Finds the sequence to begin after, and the one that is the end at present. */
  start(signal: AbortSignal): Promise<SubscriptionStart> {
    const { heads, requestTimeout } = this.#parts;
    const { from = "start" } = this.#options;
    const { from: first, filter } = prepareReadAll({
      ...this.#options,
      from: from === "now" ? "start" : from,
    });
    return this.#persist(signal, async () => {
      const before = messageSequenceOf(first - 1);
      const { highest } = heads;
      const [needed, position] = before >= highest
        ? [before, first - 1]
        : [highest, positionOf(highest)];
      const reached = await this.#verify(needed, position, requestTimeout, signal);
      if (from === "now") return { after: positionOf(reached, MAX_RUN - 1), end: 0 };
      if (before === reached) await this.#checkEnd(first - 1, reached);
      const subject = this.#subjectOf(filter);
      const query = { subject, name: `"${subject}"`, known: asStreamSequence(0), latest: true };
      const last = await this.#parts.ends.last(query);
      return { after: first - 1, end: last === undefined ? 0 : lastPositionIn(last) };
    });
  }

  /** Yields what comes after position `after`, over as many consumers as it takes. */
  async *follow(
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<Iterable<Followed | Promise<Followed>>, void> {
    const isWanted = matcher(this.#options.filter);
    const begin = asStreamSequence(Math.max(0, messageSequenceOf(after + 1) - 1));
    const { losses } = this.#parts;
    const complete = losses.follow(begin, this.#options.filter?.actorId !== undefined);
    let last: StoredMessage | undefined;
    try {
      for (let retry = untilEnded(signal);;) {
        const consumer = await this.#open(last?.sequence ?? begin, last, signal);
        try {
          for (;;) {
            const messages = await unlessAborted(signal, consumer.next());
            retry = untilEnded(signal);
            last = messages.at(-1);
            losses.glance();
            yield this.#followed(messages, after, isWanted, complete);
          }
        } catch (error) {
          if (!isPassing(error) || !await retry(this.#parts.api.requests)) throw reported(error);
        }
      }
    } finally {
      // A consumer that is not made yet cannot be deleted.
      await this.#making?.catch(() => {});
      await this.#discard();
    }
  }

  *#followed(
    messages: readonly StoredMessage[],
    after: number,
    isWanted: (run: StoredRun, index: number) => boolean,
    complete: LossReader,
  ): Generator<Followed | Promise<Followed>, void> {
    const { events } = this.#parts;
    for (const message of messages) {
      const opened = openRunFrom(this.#parts, message, after + 1);
      if (opened === undefined) {
        complete.pass();
        continue;
      }
      const { run, actorId } = opened;
      try {
        complete.take(run, actorId);
      } catch (error) {
        // Nothing comes behind it.
        return yield this.#explained(error, run, actorId, complete);
      }
      if (run.count === 0) yield { sequence: run.positionAt(0), event: undefined };
      for (let at = 0; at < run.count; at++) {
        const sequence = run.positionAt(at);
        if (sequence <= after) continue;
        if (!isWanted(run, at)) {
          yield { sequence, event: undefined, unwanted: new Unwanted(run, at, actorId) };
          continue;
        }
        const commit = run.commitAt(at);
        const event = events.eventAt(run, at, actorId);
        yield event instanceof Promise
          ? event.then((event) => ({ sequence, event: { ...event, sequence, commit } }))
          : { sequence, event: { ...event, sequence, commit } };
      }
    }
  }

  /** Rejects with the reason why a message is refused. */
  async #explained(
    error: unknown,
    run: StoredRun,
    actorId: string,
    complete: LossReader,
  ): Promise<never> {
    const { api, timeout } = this.#parts;
    const explain = () => complete.explain(error, run, actorId);
    throw await attempt(api.requests, timeout, "go on with the subscription", explain);
  }

  /** A consumer of what comes after sequence `after`, on a stream that proved to be the same one. */
  #open(
    after: StreamSequence,
    last: StoredMessage | undefined,
    signal: AbortSignal,
  ): Promise<LiveConsumer> {
    const { api, heads, check, requestTimeout, timeout } = this.#parts;
    const { filter = {} } = this.#options;
    return this.#persist(signal, async () => {
      await this.#discard();
      const name = `aether-${crypto.randomUUID()}`;
      const heartbeat = Math.max(requestTimeout, SHORTEST_HEARTBEAT);
      this.#consumers.set(name, 2);
      let feed: LiveConsumer | undefined;
      try {
        this.#making = LiveConsumer.open(api, name, {
          subject: this.#subjectOf(filter),
          after,
          heartbeat,
        });
        feed = await this.#making;
        this.#consumers.set(name, 1);
      } catch (error) {
        if (!(isInstance(error, ApiError) && error.code === ServerCode.STREAM_NOT_FOUND)) {
          throw error;
        }
      }
      // Only now: the stream below the consumer cannot be exchanged any more without ending it.
      const needed = after > heads.highest ? after : heads.highest;
      await this.#verify(needed, positionOf(needed), timeout, signal);
      await check.prove();
      if (last !== undefined) await this.#find(last);
      if (feed !== undefined) return feed;
      throw new ApiError({ code: 503, description: "the stream was out of reach for a moment" });
    });
  }

  /** Proves that the stream has come to `needed`; gives its end. */
  async #verify(
    needed: StreamSequence,
    position: number,
    patience: number,
    signal: AbortSignal,
  ): Promise<StreamSequence> {
    const { api, check, losses, requestTimeout } = this.#parts;
    const { stream } = api.layout;
    for (const retry = backoff(performance.now() + patience, signal);;) {
      const info = await api.info(requestTimeout);
      const reached = asStreamSequence(info?.state.last_seq ?? 0);
      if (reached >= needed && reached > 0) {
        await losses.see(info!.state);
        return reached;
      }
      if (!await retry(api.requests)) {
        check.suspect();
        throw new StreamRegressedError(`stream "${stream}"`, position, positionOf(reached));
      }
    }
  }

  /** Proves that the last message of the stream holds as many events as `position` says. */
  async #checkEnd(position: number, reached: StreamSequence): Promise<void> {
    const { api, requestTimeout } = this.#parts;
    for (const retry = backoff(performance.now() + requestTimeout);;) {
      const last = await api.get({ seq: reached }, requestTimeout);
      const end = last === undefined ? positionOf(reached) : lastPositionIn(last);
      if (position <= end) return;
      // A leader that was deposed just now may not have it.
      if (last === undefined && await retry(api.requests)) continue;
      throw new StreamRegressedError(`stream "${api.layout.stream}"`, position, end);
    }
  }

  /** Proves that `last` is still in its place: a stream may lose its tail and grow again. */
  async #find(last: StoredMessage): Promise<void> {
    const { api, requestTimeout } = this.#parts;
    const { sequence, subject } = last;
    for (const retry = backoff(performance.now() + requestTimeout);;) {
      const found = await api.get({ seq: sequence, next_by_subj: subject }, requestTimeout);
      const isSame = found?.sequence === sequence &&
        [ID, OP].every((name) => found.header(name) === last.header(name));
      if (isSame) return;
      // A leader that was deposed just now may not have it.
      if (!await retry(api.requests)) break;
    }
    throw new StreamRegressedError(
      `stream "${api.layout.stream}"`,
      positionOf(sequence),
      positionOf(sequence) - 1,
      `stream sequence ${sequence} does not hold what it held before; the stream was restored`,
    );
  }

  #subjectOf({ actorId, category }: EventFilter): string {
    const { api, headReader } = this.#parts;
    return actorId === undefined ? api.layout.events(category) : headReader.subjectOf(actorId);
  }

  /** Deletes the consumers that are not needed any more; those out of reach another time. */
  async #discard(): Promise<void> {
    const { api, requestTimeout } = this.#parts;
    await Promise.all(
      [...this.#consumers].map(([name, denials]) =>
        api.forget(name, requestTimeout).then(
          (found) => {
            if (found || denials <= 1) this.#consumers.delete(name);
            else this.#consumers.set(name, denials - 1);
          },
          () => {}, // It ends by itself when it was idle for long enough.
        )
      ),
    );
  }

  /** Does `work`, again for as long as the trouble is passing. */
  async #persist<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (const retry = untilEnded(signal);;) {
      try {
        return await unlessAborted(signal, work());
      } catch (error) {
        if (!isPassing(error) || !await retry(this.#parts.api.requests)) throw reported(error);
      }
    }
  }
}

/** An event that the filter leaves out; its id is decoded only for a reader that asks for it. */
class Unwanted implements PassedEvent {
  readonly sequence: number;
  readonly actorId: string;
  readonly #run: StoredRun;
  readonly #index: number;

  constructor(run: StoredRun, index: number, actorId: string) {
    this.sequence = run.positionAt(index);
    this.actorId = actorId;
    this.#run = run;
    this.#index = index;
  }

  get id(): string {
    return this.#run.idAt(this.#index);
  }
}

/** Waits between tries that only `signal` ends. */
function untilEnded(signal: AbortSignal): ReturnType<typeof backoff> {
  return backoff(Infinity, signal);
}

/** Sorts out the types, and an actor that is not of the category: the server cannot. */
function matcher(filter: EventFilter = {}): (run: StoredRun, index: number) => boolean {
  const { actorId, eventTypes } = filter;
  const none = actorId !== undefined && !isOfActor(filter, actorId);
  return none ? () => false : typeFilter(eventTypes);
}

/** The position of the last event in a message, or its only one if that holds none. */
export function lastPositionIn(message: StoredMessage): number {
  try {
    return positionOf(message.sequence, Math.max(0, new StoredRun(message).count - 1));
  } catch {
    return positionOf(message.sequence);
  }
}

function reported(error: unknown): unknown {
  if (!(isInstance(error, ApiError) || isInstance(error, RequestError))) return error;
  return failed("go on with the subscription", error);
}
