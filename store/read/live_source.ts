import { jsonIn } from "../base/json.ts";
import { unlessAborted } from "../base/abort.ts";
import { prepareReadAll } from "../check/query.ts";
import { CorruptEventError, StoreUnavailableError, StreamRegressedError } from "../errors.ts";
import type { Event } from "../event.ts";
import { ID, OP } from "../format/headers.ts";
import { backoff } from "../nats/backoff.ts";
import { LiveConsumer } from "../nats/live_consumer.ts";
import { RequestError } from "../nats/request_error.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { ApiError, isPassing, ServerCode } from "../nats/stream_api.ts";
import type { EventFilter, EventSubscriptionOptions } from "../options.ts";
import type { ReaderParts } from "./pages.ts";
import {
  type EventSource,
  type Followed,
  isOfActor,
  type SubscriptionStart,
} from "../subscription.ts";

/** The shortest heartbeat that the server takes, in ms. */
const SHORTEST_HEARTBEAT = 100;

/** What subscriptions of one store share. */
export interface LiveParts extends ReaderParts {
  /** Tells the stream that was opened from any other of its name. */
  readonly identity: string;
}

/**
 * The events of a stream, those that are stored and those that come, by one feed after another.
 * What keeps them whole is the place of the last one alone: each feed begins right after it, and
 * is believed only once the stream has proved to be the same one, with that event in that place.
 */
export class LiveSource implements EventSource {
  readonly #parts: LiveParts;
  readonly #options: EventSubscriptionOptions;
  /**
   * Consumers that may be on the server, and how often it has to deny that: one that it did not
   * say it had made may be made late.
   */
  readonly #consumers = new Map<string, number>();
  /** The request under way that makes one. */
  #making: Promise<LiveConsumer> | undefined;

  /** Follows what `options` ask for. */
  constructor(parts: LiveParts, options: EventSubscriptionOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Finds the sequence to begin after, and the one that is the end at present. */
  start(signal: AbortSignal): Promise<SubscriptionStart> {
    const { api, heads, requestTimeout } = this.#parts;
    const { from = "start" } = this.#options;
    const { from: first, filter } = prepareReadAll({
      ...this.#options,
      from: from === "now" ? "start" : from,
    });
    return this.#persist(signal, async () => {
      const reached = await this.#verify(
        Math.max(first - 1, heads.highest),
        requestTimeout,
        signal,
      );
      if (from === "now") return { after: reached, end: 0 };
      const last = await api.get({ last_by_subj: this.#subjectOf(filter) }, requestTimeout);
      return { after: first - 1, end: last?.sequence ?? 0 };
    });
  }

  /** Yields what comes after sequence `after`, over as many feeds as it takes. */
  async *follow(
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<Iterable<Followed | Promise<Followed>>, void> {
    const isWanted = matcher(this.#options.filter);
    let last: StoredMessage | undefined;
    try {
      for (let retry = forever(signal);;) {
        const feed = await this.#open(last?.sequence ?? after, last, signal);
        try {
          for (;;) {
            const messages = await unlessAborted(signal, feed.next());
            retry = forever(signal);
            last = messages.at(-1);
            yield this.#followed(messages, isWanted);
          }
        } catch (error) {
          if (!isPassing(error) || !await retry(this.#parts.api.requests)) throw told(error);
        }
      }
    } finally {
      // What is not made yet cannot be deleted.
      await this.#making?.catch(() => {});
      await this.#discard();
    }
  }

  *#followed(
    messages: readonly StoredMessage[],
    isWanted: (event: Event) => boolean,
  ): Generator<Followed | Promise<Followed>, void> {
    for (const message of messages) {
      const { sequence } = message;
      const follow = (event: Event): Followed => ({
        sequence,
        event: isWanted(event) ? { ...event, sequence } : undefined,
      });
      const event = this.#eventIn(message);
      yield event instanceof Promise ? event.then(follow) : follow(event);
    }
  }

  /** A feed of what comes after sequence `after`, on a stream that proved to be the same one. */
  #open(
    after: number,
    last: StoredMessage | undefined,
    signal: AbortSignal,
  ): Promise<LiveConsumer> {
    const { api, heads, requestTimeout, timeout } = this.#parts;
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
        if (!(error instanceof ApiError && error.code === ServerCode.STREAM_NOT_FOUND)) throw error;
      }
      // Only now: what the consumer stands on cannot be exchanged any more without its end.
      await this.#verify(Math.max(after, heads.highest), timeout, signal);
      if (last !== undefined) await this.#find(last);
      if (feed !== undefined) return feed;
      throw new ApiError({ code: 503, description: "the stream was out of reach for a moment" });
    });
  }

  /** Proves that the stream is the one that was opened and has come to `needed`; gives its end. */
  async #verify(needed: number, patience: number, signal: AbortSignal): Promise<number> {
    const { api, identity, requestTimeout } = this.#parts;
    const { stream, genesis } = api.layout;
    for (const retry = backoff(performance.now() + patience, signal);;) {
      const reached = (await api.info(requestTimeout))?.state.last_seq ?? 0;
      if (reached >= needed && reached > 0) {
        const found = await api.get({ last_by_subj: genesis }, requestTimeout);
        if (found !== undefined && identityIn(found) === identity) return reached;
        throw new StreamRegressedError(
          `stream "${stream}"`,
          needed,
          reached,
          `it is another one than was opened, whose identity was ${identity}`,
        );
      }
      if (!await retry(api.requests)) {
        throw new StreamRegressedError(`stream "${stream}"`, needed, reached);
      }
    }
  }

  /** Proves that `last` is still in its place: a stream may lose its tail and grow again. */
  async #find(last: StoredMessage): Promise<void> {
    const { api, requestTimeout } = this.#parts;
    const { sequence, subject } = last;
    const found = await api.get({ seq: sequence, next_by_subj: subject }, requestTimeout);
    const isSame = found?.sequence === sequence &&
      [ID, OP].every((name) => found.header(name) === last.header(name));
    if (isSame) return;
    throw new StreamRegressedError(
      `stream "${api.layout.stream}"`,
      sequence,
      (found?.sequence ?? sequence) - 1,
      `sequence ${sequence} does not hold what it held before; the stream was restored`,
    );
  }

  #eventIn(message: StoredMessage): Event | Promise<Event> {
    const { sequence, subject } = message;
    const { api, headReader, events } = this.#parts;
    const actor = api.layout.actorOf(subject);
    if (actor === undefined || headReader.subjectOf(actor) !== subject) {
      const reason = `its subject "${subject}" is not one that this library writes`;
      throw new CorruptEventError(sequence, reason);
    }
    return events.eventIn(message, actor);
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
    for (const retry = forever(signal);;) {
      try {
        return await unlessAborted(signal, work());
      } catch (error) {
        if (!isPassing(error) || !await retry(this.#parts.api.requests)) throw told(error);
      }
    }
  }
}

/** Waits between tries that only `signal` ends. */
function forever(signal: AbortSignal): ReturnType<typeof backoff> {
  return backoff(Infinity, signal);
}

/** Sorts out the types, and what is of one actor and of another category: the server cannot. */
function matcher(filter: EventFilter = {}): (event: Event) => boolean {
  const { actorId, eventTypes } = filter;
  const none = actorId !== undefined && !isOfActor(filter, actorId);
  const types = none ? new Set<string>() : eventTypes && new Set(eventTypes);
  return types === undefined ? () => true : ({ eventType }) => types.has(eventType);
}

function identityIn({ data }: StoredMessage): unknown {
  return (jsonIn(data) as { identity?: unknown } | null | undefined)?.identity;
}

function told(error: unknown): unknown {
  if (!(error instanceof ApiError || error instanceof RequestError)) return error;
  const message = `Cannot go on with the subscription: ${error.message}`;
  return new StoreUnavailableError(message, { cause: error });
}
