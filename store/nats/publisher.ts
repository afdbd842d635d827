import { isInstance } from "../base/text.ts";
import type { Msg } from "@nats-io/nats-core";
import type { MsgHdrs } from "@nats-io/nats-core";
import { unlessAborted } from "../base/abort.ts";
import { MAX_BATCH } from "../format/layout.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";
import { RequestError } from "./request_error.ts";
import { ApiError, isPassing, ServerCode, type StreamApi, type StreamNames } from "./stream_api.ts";
import { type TwinMarker, TwinWatch } from "./twin.ts";

const decoder = /* @__PURE__ */ new TextDecoder();

/** Batches that one store has open at once; the server allows 50 to all clients of a stream. */
const OPEN_BATCHES = 8;

/** The reason why the server refuses a batch that was sent as a whole. */
const DROPPED = "the server has dropped the batch: one of its messages was lost, or the clients " +
  "of the stream have more batches open than the server allows (50 unless configured)";

/** The outcome of one try to store messages. */
export type TryOutcome =
  /** Stored; `first` is the sequence of the first message, the others follow on it. */
  | { readonly kind: "stored"; readonly first: StreamSequence }
  /** Not stored: an expected sequence was not met. */
  | { readonly kind: "stale" }
  /**
   * Not stored by this try, and another may do better: the server was busy or out of reach; or, without
   * a cause, nothing was sent, as the time was over.
   */
  | { readonly kind: "absent"; readonly cause: unknown }
  /** Not stored, and no other try will do better. */
  | { readonly kind: "refused"; readonly cause: unknown }
  /** No answer: stored now, later, or never. */
  | { readonly kind: "unknown"; readonly cause: unknown };

/** Stores messages, all or none: a single one as a plain publish, several as an atomic batch. */
export class Publisher {
  /** The limits of the server, as far as they are known; a refusal lowers them. */
  readonly limits: PublishLimits = { messages: MAX_BATCH, bytes: Infinity };
  readonly #api: StreamApi<StreamNames>;
  readonly #waiting: (() => void)[] = [];
  #open = 0;
  readonly #twins: TwinWatch;

  /** Publishes to the stream of `api`; `marker` as in {@linkcode TwinWatch}. */
  constructor(api: StreamApi<StreamNames>, marker?: TwinMarker) {
    this.#api = api;
    this.#twins = new TwinWatch(api, marker);
  }

  /**
   * Tries once, waiting at most `requestTimeout` ms for the answer, and not past `deadline` (by the
   * monotonic clock, in ms). It sends nothing after the deadline or once `signal` is aborted; an
   * abort also ends the wait for an answer.
   *
   * @param batch Names the batch if there are several messages; 64 characters at most.
   */
  publish(
    messages: readonly Outgoing[],
    requestTimeout: number,
    deadline: number,
    signal?: AbortSignal,
    batch?: string,
  ): Promise<TryOutcome> {
    if (signal?.aborted) return Promise.resolve({ kind: "absent", cause: signal.reason });
    const { found: cause } = this.#twins;
    if (cause !== undefined) return Promise.resolve({ kind: "refused", cause });
    return messages.length === 1
      ? unlessUnknown(
        signal,
        this.#publishOne(messages[0]!, Math.min(requestTimeout, deadline - performance.now())),
      )
      : this.#publishInTurn(messages, requestTimeout, deadline, signal, batch);
  }

  /** Not async, so that the message can be freed as soon as it is sent. */
  #publishOne({ subject, headers, body }: Outgoing, timeout: number): Promise<TryOutcome> {
    if (timeout <= 0) return Promise.resolve(tooLate());
    return this.#api.requests.collect(subject, body, timeout, this.#twins.isOwn, headers)
      .then((answer) => this.#read(answer, 1), tryOutcomeOf);
  }

  async #publishInTurn(
    messages: readonly Outgoing[],
    requestTimeout: number,
    deadline: number,
    signal: AbortSignal | undefined,
    batch: string | undefined,
  ): Promise<TryOutcome> {
    try {
      await this.#turn(signal);
    } catch (cause) {
      return { kind: "absent", cause };
    }
    try {
      const timeout = Math.min(requestTimeout, deadline - performance.now());
      return timeout > 0
        ? await unlessUnknown(signal, this.#publishBatch(messages, timeout, batch))
        : tooLate();
    } finally {
      this.#next();
    }
  }

  /** Resolves when one more batch may be open; an aborted `signal` ends the wait. */
  async #turn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#open < OPEN_BATCHES) return void this.#open++;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    try {
      await unlessAborted(signal, promise);
      signal?.throwIfAborted();
    } catch (error) {
      const at = this.#waiting.indexOf(resolve);
      if (at >= 0) this.#waiting.splice(at, 1);
      else this.#next(); // The turn came meanwhile.
      throw error;
    }
  }

  /** Hands a turn that is over to the batch that has waited longest. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#open--;
    else next();
  }

  /** The batch's headers are sent by hand: nats.js's own batches drop the expected sequences. */
  async #publishBatch(
    messages: readonly Outgoing[],
    timeout: number,
    id: string = crypto.randomUUID(),
  ): Promise<TryOutcome> {
    const { requests } = this.#api;
    try {
      for (const [at, { headers }] of messages.entries()) {
        headers.set("Nats-Batch-Id", id);
        headers.set("Nats-Batch-Sequence", String(at + 1));
      }
      const last = messages.at(-1)!;
      last.headers.set("Nats-Batch-Commit", "1");
      // The server drops a batch as a whole if its last message does not arrive.
      for (const { subject, body, headers } of messages.slice(0, -1)) {
        requests.send(subject, body, headers);
      }
      const { subject, body, headers } = last;
      const answer = await requests.collect(subject, body, timeout, this.#twins.isOwn, headers);
      return this.#read(answer, messages.length);
    } catch (error) {
      return tryOutcomeOf(error);
    }
  }

  #read(answer: Msg, count: number): TryOutcome {
    const text = decoder.decode(answer.data);
    let ack: {
      stream?: unknown;
      seq?: number;
      count?: number;
      error?: ConstructorParameters<typeof ApiError>[0];
    } = {};
    try {
      ack = JSON.parse(text);
    } catch {
      // Not the server's: reported below.
    }
    if (ack.error !== undefined) {
      const error = new ApiError(ack.error);
      if (error.code === ServerCode.BATCH_TOO_LARGE) {
        const { messages } = this.limits;
        this.limits.messages = Math.min(messages, batchLimitIn(error.message, count));
      }
      return tryOutcomeOf(error);
    }
    const { stream, seq } = ack;
    const whole = count === 1 || ack.count === count;
    if (stream !== this.#api.layout.stream || !Number.isSafeInteger(seq) || seq! < 1 || !whole) {
      return { kind: "unknown", cause: new Error(`The answer is no acknowledgement: ${text}`) };
    }
    return { kind: "stored", first: asStreamSequence(seq! - count + 1) };
  }
}

/** The outcome if nothing was sent because the time was over. */
function tooLate(): TryOutcome {
  return { kind: "absent", cause: undefined };
}

/** The outcome of a try that was sent; unknown if `signal` is aborted first. */
function unlessUnknown(
  signal: AbortSignal | undefined,
  outcome: Promise<TryOutcome>,
): Promise<TryOutcome> {
  if (signal === undefined) return outcome;
  return unlessAborted(signal, outcome).catch((cause) => ({ kind: "unknown", cause }));
}

function tryOutcomeOf(cause: unknown): TryOutcome {
  if (isInstance(cause, RequestError)) {
    if (cause.maybeSent) return { kind: "unknown", cause };
    const final = cause.failure === "denied" || cause.failure === "closed";
    return { kind: final ? "refused" : "absent", cause };
  }
  if (!isInstance(cause, ApiError)) return { kind: "refused", cause };
  switch (cause.code) {
    case ServerCode.WRONG_LAST_SEQUENCE:
      return { kind: "stale" };
    // The server refuses a batch that is one too many at its first message, which asks for no
    // answer; it then answers the last one that the batch is incomplete.
    case ServerCode.BATCH_INCOMPLETE:
    case ServerCode.BATCH_TOO_MANY_OPEN:
      return { kind: "absent", cause: new Error(DROPPED, { cause }) };
    default:
      return { kind: isPassing(cause) ? "absent" : "refused", cause };
  }
}

/** The limits of the server. */
export interface PublishLimits {
  /** Messages of one batch. */
  messages: number;
  /** Bytes of one message, if the stream has a limit of its own. */
  bytes: number;
}

/** The limit in `atomic publish batch is too large: 100`; else half of what was refused. */
function batchLimitIn(description: string, refused: number): number {
  const named = Number(/(\d+)\D*$/.exec(description)?.[1] ?? NaN);
  return named >= 1 && named < refused ? named : Math.max(1, Math.floor(refused / 2));
}

/** One message to publish. */
export interface Outgoing {
  readonly subject: string;
  readonly headers: MsgHdrs;
  readonly body: Uint8Array;
}
