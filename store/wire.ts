import type { Msg, MsgHdrs, Status, Subscription } from "@nats-io/nats-core";
import type { Connection } from "./connection.ts";
import { LONGEST_TIMER } from "./pause.ts";

/** Why a request has no answer. */
export type WireFailure =
  /** Nothing was sent, for there is no connection at the moment. */
  | "disconnected"
  /** Sent, then the connection broke; it may have arrived. */
  | "interrupted"
  /** Sent, and no answer came in time; it may have arrived. */
  | "timeout"
  /** Nobody listens: this request reached nothing. */
  | "no responders"
  /** The server forbids it: this request reached nothing. */
  | "denied"
  /** The connection is closed or drained for good; what was sent may have arrived. */
  | "closed";

/** Thrown when a request has no answer. */
export class WireError extends Error {
  /** What happened. */
  readonly failure: WireFailure;
  /** Whether the request may have reached a server all the same. */
  readonly maybeSent: boolean;

  /** Keeps the failure. */
  constructor(failure: WireFailure, subject: string, maybeSent: boolean, options?: ErrorOptions) {
    super(`Request on "${subject}" has no answer: ${failure}`, options);
    this.name = "WireError";
    this.failure = failure;
    this.maybeSent = maybeSent;
  }
}

/** Takes one message of the answer; true when it was the last one. */
type Take = (message: Msg) => boolean;

const takeOne: Take = () => true;

interface Waiter {
  readonly subject: string;
  readonly take: Take;
  readonly idle: number;
  deadline: number;
  /** Whether something of the answer has come. */
  heard: boolean;
  readonly resolve: (last: Msg) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Requests and their answers over one subscription: each request has a token at the end of its
 * reply subject, which leads the answer to whoever waits for it. One timer serves all.
 * Every request ends: by its answer, in time, or when the connection breaks, drains or closes.
 */
export class Wire {
  readonly #connection: Connection;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #status: AsyncIterable<Status>;
  readonly #waiters = new Map<number, Waiter>();
  /** Told when the connection is back, or closed. */
  readonly #resumptions = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #lastToken = 0;
  #connected = true;
  #closed = false;
  #epoch = 0;
  /** A message without an answer that the server has refused: told when it is sent again. */
  #denied: { readonly subject: string; readonly cause: Error } | undefined;

  /** Subscribes to an inbox of its own on `connection`. */
  constructor(connection: Connection) {
    this.#connection = connection;
    this.#inbox = `${inboxPrefix(connection)}.${crypto.randomUUID().replaceAll("-", "")}.`;
    this.#subscription = connection.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (error) this.#end(error);
        else this.#hand(Number(message.subject.slice(this.#inbox.length)), message);
      },
    });
    this.#status = connection.status();
    this.#watch();
    // A connection lives longer than its stores, and must not keep them all.
    const self = new WeakRef(this);
    connection.closed().then(() => self.deref()?.close());
    this.#subscription.closed.then(() => this.#end());
  }

  /** Whether no request can be sent any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Counts the breaks of the connection: what was sent in one epoch arrives in order. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Sends `payload` to `subject` and gives the one answer, within `timeout` ms. */
  request(
    subject: string,
    payload: Uint8Array | string,
    timeout: number,
    headers?: MsgHdrs,
  ): Promise<Msg> {
    return this.collect(subject, payload, timeout, takeOne, headers);
  }

  /**
   * Sends `payload` to `subject` and hands each message of the answer to `take` until it says
   * that it has the last, which is given back; `idle` ms may pass before each. What `take` throws
   * ends the request.
   */
  collect(
    subject: string,
    payload: Uint8Array | string,
    idle: number,
    take: Take,
    headers?: MsgHdrs,
  ): Promise<Msg> {
    const token = ++this.#lastToken;
    try {
      this.#publish(subject, payload, this.#inbox + token, headers);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#answer(token, subject, idle, take);
  }

  /**
   * Like {@linkcode Wire.collect} for a pull from a consumer, with an inbox of its own: what is
   * delivered names a subject of the stream, and no token.
   */
  async pull(subject: string, payload: string, idle: number, take: Take): Promise<void> {
    this.#checkOpen(subject);
    const token = ++this.#lastToken;
    const reply = `${this.#inbox}${token}.pull`;
    const inbox = this.#open(token, reply, subject);
    try {
      this.#publish(subject, payload, reply);
      await this.#answer(token, subject, idle, take);
    } finally {
      if (!this.#connection.isClosed() && !inbox.isClosed()) inbox.unsubscribe();
    }
  }

  #open(token: number, reply: string, subject: string): Subscription {
    try {
      return this.#connection.subscribe(reply, {
        callback: (error, message) => error ? this.#fail(token, error) : this.#hand(token, message),
      });
    } catch (error) {
      throw this.#classify(subject, error);
    }
  }

  /**
   * Sends `payload` to `subject`, asking for no answer. That the server forbids it can only be
   * told later: when it is sent again, the first time.
   */
  send(subject: string, payload: Uint8Array, headers: MsgHdrs): void {
    this.#checkOpen(subject);
    if (this.#denied?.subject === subject) {
      const { cause } = this.#denied;
      this.#denied = undefined;
      throw new WireError("denied", subject, false, { cause });
    }
    this.#publish(subject, payload, "", headers);
  }

  /**
   * Resolves when there is a connection or there will never be one; after `ms`, or when `signal`
   * is aborted, at the latest.
   */
  async connected(ms: number, signal?: AbortSignal): Promise<void> {
    if (this.#connected || this.#closed || signal?.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = () => resolve();
    this.#resumptions.add(resolve);
    signal?.addEventListener("abort", stop);
    const timer = setTimeout(resolve, Math.min(Math.max(0, ms), LONGEST_TIMER));
    await promise;
    signal?.removeEventListener("abort", stop);
    this.#resumptions.delete(resolve);
    clearTimeout(timer);
  }

  /** Ends all requests and the subscription; the connection stays as it is. */
  close(): void {
    this.#end();
    if (!this.#connection.isClosed() && !this.#subscription.isClosed()) {
      this.#subscription.unsubscribe();
    }
    stop(this.#status);
  }

  #checkOpen(subject: string): void {
    if (this.#closed) throw new WireError("closed", subject, false);
    if (!this.#connected) throw new WireError("disconnected", subject, false);
  }

  #classify(subject: string, error: unknown): unknown {
    if (error instanceof WireError) return error;
    const name = error instanceof Error ? error.name : "";
    return name === "ClosedConnectionError" || name === "DrainingConnectionError"
      ? new WireError("closed", subject, false, { cause: error })
      : error;
  }

  #publish(
    subject: string,
    payload: Uint8Array | string,
    reply: string,
    headers?: MsgHdrs,
  ): void {
    try {
      this.#checkOpen(subject);
      this.#connection.publish(subject, payload, headers ? { reply, headers } : { reply });
    } catch (error) {
      throw this.#classify(subject, error);
    }
  }

  /** What answers the request that was just sent with `token`. */
  #answer(token: number, subject: string, idle: number, take: Take): Promise<Msg> {
    const { promise, resolve, reject } = Promise.withResolvers<Msg>();
    const deadline = performance.now() + idle;
    this.#waiters.set(token, { subject, take, idle, deadline, heard: false, resolve, reject });
    this.#schedule(deadline);
    return promise;
  }

  /** Hands `message` to whoever waits for it. */
  #hand(token: number, message: Msg): void {
    const waiter = this.#waiters.get(token);
    if (waiter === undefined) return;
    try {
      if (!waiter.heard && message.data.length === 0 && message.headers?.code === 503) {
        throw new WireError("no responders", waiter.subject, false);
      }
      waiter.heard = true;
      if (waiter.take(message)) {
        this.#waiters.delete(token);
        waiter.resolve(message);
      } else {
        waiter.deadline = performance.now() + waiter.idle;
      }
    } catch (error) {
      this.#fail(token, error);
    }
  }

  #fail(token: number, error: unknown): void {
    this.#waiters.get(token)?.reject(error);
    this.#waiters.delete(token);
  }

  /** Sets the timer for `deadline` unless it rings before then anyway. */
  #schedule(deadline: number): void {
    if (deadline >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    const ms = Math.max(0, Math.ceil(deadline - performance.now()));
    this.#timer = setTimeout(() => this.#expire(), ms);
  }

  #expire(): void {
    this.#timerAt = Infinity;
    const now = performance.now();
    let next = Infinity;
    for (const [token, waiter] of this.#waiters) {
      if (waiter.deadline <= now) {
        this.#waiters.delete(token);
        waiter.reject(new WireError("timeout", waiter.subject, true));
      } else {
        next = Math.min(next, waiter.deadline);
      }
    }
    if (next < Infinity) this.#schedule(next);
  }

  async #watch(): Promise<void> {
    for await (const status of this.#status) {
      if (status.type === "disconnect") {
        this.#connected = false;
        this.#denied = undefined;
        this.#epoch++;
        this.#rejectAll("interrupted");
      } else if (status.type === "reconnect") {
        this.#connected = true;
        this.#resume();
      } else if (status.type === "error") {
        this.#deny(status.error);
      }
    }
  }

  /** Ends at once what the server does not permit: it never answers such a request. */
  #deny(error: Error & { operation?: unknown; subject?: unknown }): void {
    if (error.name !== "PermissionViolationError" || error.operation !== "publish") return;
    this.#denied = { subject: String(error.subject), cause: error };
    for (const [token, waiter] of this.#waiters) {
      if (waiter.subject !== error.subject) continue;
      this.#denied = undefined;
      this.#waiters.delete(token);
      waiter.reject(new WireError("denied", waiter.subject, false, { cause: error }));
    }
  }

  #end(cause?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rejectAll("closed", cause);
    this.#resume();
  }

  #rejectAll(failure: WireFailure, cause?: unknown): void {
    clearTimeout(this.#timer);
    this.#timerAt = Infinity;
    for (const { subject, reject } of this.#waiters.values()) {
      reject(new WireError(failure, subject, true, { cause }));
    }
    this.#waiters.clear();
  }

  #resume(): void {
    for (const resume of this.#resumptions) resume();
  }
}

/** The prefix that the connection was opened with, for servers that permit no other. */
function inboxPrefix(connection: Connection): string {
  const { options } = connection as { options?: { inboxPrefix?: unknown } };
  return typeof options?.inboxPrefix === "string" ? options.inboxPrefix : "_INBOX";
}

/** Ends a status iterator from outside, which its type does not offer though nats.js does. */
function stop(status: AsyncIterable<Status>): void {
  const { stop } = status as { stop?: unknown };
  if (typeof stop === "function") stop.call(status);
}
