import { needRequest } from "./request_headers.ts";
import {
  asGiven,
  needMethods,
  needObject,
  needOptionalFunctions,
  needSignal,
} from "../../store/base/given.ts";
import { callHook, print, refusePromise } from "../../store/base/hook.ts";
import { Notifier } from "../../store/base/notifier.ts";
import { LONGEST_TIMER } from "../../store/base/sleep.ts";
import type { Event, RecordedEvent } from "../../store/event.ts";
import type { EventFilter } from "../../store/options.ts";
import type { EventStore, EventSubscription } from "../../store/store.ts";
import { keptPositionsOf } from "../../store/store_positions.ts";
import { problemOf } from "./problem.ts";
import { positionIn, type WaitingRequest } from "./receipt.ts";
import { RequestError, shown } from "./request_error.ts";

/** Options for {@linkcode eventStream}. */
export interface EventStreamOptions<E extends Event = Event> {
  /** Which events. @default {all} */
  readonly filter?: EventFilter;
  /**
   * Where a client begins if it has seen no event: see `subscribe()`. With `"now"` the server tells it
   * its place at once, and it goes on there if it comes back before the first event; not if the store
   * is an implementation of your own.
   *
   * @default {"now"}
   */
  readonly from?: "start" | "now" | number;
  /**
   * Makes the message of an event, sent as JSON; `undefined` leaves the event out. Return only data
   * that this client may see. @default {the whole event}
   */
  readonly message?: (event: E & RecordedEvent) => unknown;
  /** After how long without an event a comment is sent, in ms. @default {15_000} */
  readonly heartbeat?: number;
  /** Ends the stream: when the server shuts down. The client comes back by itself. */
  readonly signal?: AbortSignal;
  /** Called with the error that ended the stream. @default {console.warn} */
  readonly onError?: (error: unknown) => void;
}

/**
 * Answers with the events of a store as server-sent events: a browser's `EventSource` follows them,
 * and goes on after the last one that it got when its connection breaks (`Last-Event-ID`).
 *
 * Each message has an event as JSON in `data`, and its place in `id`: the store's identity and the
 * position. It reads no more events than the client takes, plus a few, and ends with the request.
 * An error that ends it is sent as a last message of the type `problem`, with the body that {@linkcode
 * problem} would answer.
 *
 * @throws {RequestError} `Last-Event-ID` is none of this store: 400, or 409 if the store was
 * restored or is another one since. An `EventSource` then gives up, and the page begins again.
 * @throws {RangeError} `heartbeat` is out of its range.
 *
 * @example Follow orders in a browser
 * ```ts
 * import { createEvent, InMemoryEventStore } from "@flowmade-one/aether";
 * import { eventStream } from "@flowmade-one/aether/http";
 *
 * const store = new InMemoryEventStore();
 * const placed = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: { total: 5 } };
 * await store.saveEvent(createEvent(placed));
 *
 * const answer = eventStream(new Request("http://localhost/orders"), store, {
 *   filter: { category: "order" },
 *   from: "start",
 *   message: ({ actorId, data }) => ({ actorId, data }),
 * });
 * const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
 * await reader.read(); // a comment, so that the headers go out at once
 * console.log((await reader.read()).value); // id: …\ndata: {"actorId":"order-1","data":{"total":5}}
 * await reader.cancel();
 * await store[Symbol.asyncDispose]();
 * ```
 */
export function eventStream<E extends Event = Event>(
  request: WaitingRequest,
  store: Pick<EventStore, "identity" | "subscribe">,
  options: EventStreamOptions<E> = {},
): Response {
  needRequest(request, "stream events");
  needMethods(store, ["subscribe"], "stream events", "store", "an EventStore");
  needObject(options, "stream events", "options");
  needOptionalFunctions(options, ["message", "onError"], "stream events");
  needSignal(options.signal, "stream events");
  const { heartbeat = 15_000, from = "now" } = options;
  if (!(heartbeat >= 1 && heartbeat <= LONGEST_TIMER)) {
    throw new RangeError(
      `Cannot send a heartbeat after ${heartbeat} ms: 1 to ${LONGEST_TIMER} pass`,
    );
  }
  const last = lastPosition(request, store.identity);
  const source = new MessageSource(request, store, {
    ...asGiven(options),
    heartbeat,
    from: last === undefined ? from : last + 1,
  });
  const body = new ReadableStream<Uint8Array>(source, { highWaterMark: 0 });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no", // nginx would hold messages back
    },
  });
}

/** The position of the last event that the client got; `undefined` if it got none. */
function lastPosition({ headers }: WaitingRequest, identity: string): number | undefined {
  const name = "Last-Event-ID";
  const header = headers.get(name)?.trim() ?? "";
  if (header === "") return undefined;
  const at = header.lastIndexOf(":");
  const position = positionIn(header.slice(at + 1));
  if (at < 1 || position === undefined) {
    throw new RequestError(name, `${shown(header)} is not the id of a message of this server`);
  }
  if (header.slice(0, at) !== encodeURIComponent(identity)) {
    const reason = "the store was restored, or is another one, since that event; begin again";
    throw new RequestError(name, reason, 409);
  }
  return position;
}

type MessageOptions<E extends Event> =
  & EventStreamOptions<E>
  & Required<Pick<EventStreamOptions<E>, "heartbeat" | "from">>;

const encoder = new TextEncoder();

/** The messages of one stream, each made when the client takes it. */
class MessageSource<E extends Event> implements UnderlyingDefaultSource<Uint8Array> {
  readonly #options: MessageOptions<E>;
  readonly #prefix: string;
  readonly #subscription: Promise<EventSubscription>;
  readonly #arrived = new Notifier();
  /** Whether the next event is asked for, and has not come. */
  #isAsked = false;
  #next: IteratorResult<RecordedEvent, undefined> | { readonly error: unknown } | undefined;
  /** The end of the store at which the client begins, if it was not told. */
  #begin: number | undefined;
  /** Position of the last event that was left out, if the client was not told. */
  #passed: number | undefined;
  #isOver = false;

  constructor(
    { signal: own }: WaitingRequest,
    store: Pick<EventStore, "identity" | "subscribe">,
    options: MessageOptions<E>,
  ) {
    this.#options = options;
    this.#prefix = encodeURIComponent(store.identity);
    this.#subscription = this.#subscribe(store, own);
  }

  async #subscribe(
    store: Pick<EventStore, "subscribe">,
    own: AbortSignal | undefined,
  ): Promise<EventSubscription> {
    const { filter, from, signal } = this.#options;
    const positions = from === "now" ? keptPositionsOf(store as EventStore) : undefined;
    if (positions !== undefined) this.#begin = await positions.end();
    const signals = [own, signal].filter((signal) => signal !== undefined);
    return store.subscribe({
      from: this.#begin === undefined ? from : this.#begin + 1,
      ...(filter && { filter }),
      ...(signals.length > 0 && { signal: AbortSignal.any(signals) }),
    });
  }

  /** Sends a comment, so that the headers go out before there is an event. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    controller.enqueue(encoder.encode(": follow\n\n"));
    this.#ask(); // so that a request that ends before it is read ends the subscription
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const deadline = performance.now() + this.#options.heartbeat;
    while (!this.#isOver) {
      const message = this.#greet() ?? this.#take() ?? this.#beat(deadline);
      if (message === "end") {
        this.#isOver = true;
        controller.close();
      } else if (message !== undefined) {
        controller.enqueue(encoder.encode(message));
        if (this.#isOver) controller.close();
        return;
      } else if (this.#next === undefined) {
        const { count } = this.#arrived;
        this.#ask();
        await this.#arrived.wait(Math.max(0, deadline - performance.now()), undefined, count);
      }
    }
  }

  async cancel(): Promise<void> {
    this.#isOver = true;
    this.#arrived.notify();
    await (await this.#subscription.catch(() => undefined))?.[Symbol.asyncDispose]();
  }

  #ask(): void {
    if (this.#isAsked || this.#next !== undefined) return;
    this.#isAsked = true;
    const asked = this.#subscription.then((events) => {
      if (this.#begin !== undefined) this.#arrived.notify(); // for the greeting
      return events[Symbol.asyncIterator]().next();
    });
    asked.catch((error: unknown) => ({ error })).then((next) => {
      this.#isAsked = false;
      this.#next = next;
      this.#arrived.notify();
    });
  }

  /** A comment with the place at which the client begins: it may come back before the first event. */
  #greet(): string | undefined {
    const begin = this.#begin;
    this.#begin = undefined;
    return begin === undefined ? undefined : `id: ${this.#prefix}:${begin}\n:\n\n`;
  }

  /** The message of what has come; `undefined` if nothing has, or it is left out. */
  #take(): string | "end" | undefined {
    const next = this.#next;
    if (next === undefined) return undefined;
    this.#next = undefined;
    if ("error" in next) return this.#failed(next.error);
    if (next.done) return "end";
    const event = next.value as E & RecordedEvent;
    try {
      const { message } = this.#options;
      const made = message === undefined ? event : message(event);
      refusePromise(made, "message");
      const data = JSON.stringify(made);
      if (data === undefined) {
        this.#passed = event.sequence;
        return undefined;
      }
      this.#passed = undefined;
      return `id: ${this.#prefix}:${event.sequence}\ndata: ${data}\n\n`;
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** A comment when it is time for one; with it the client learns what it need not read again. */
  #beat(deadline: number): string | undefined {
    if (performance.now() < deadline) return undefined;
    const id = this.#passed === undefined ? "" : `id: ${this.#prefix}:${this.#passed}\n`;
    this.#passed = undefined;
    return `${id}:\n\n`;
  }

  /** The last message. */
  #failed(error: unknown): string {
    this.#isOver = true;
    const { onError = warn } = this.#options;
    callHook("onError of eventStream()", () => onError(error));
    this.#subscription.then((it) => it[Symbol.asyncDispose]()).catch(() => {}); // It has failed already.
    return `event: problem\ndata: ${JSON.stringify(problemOf(error).details)}\n\n`;
  }
}

function warn(error: unknown): void {
  print("warn", "A stream of events has ended by an error:", error);
}
