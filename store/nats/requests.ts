import type { Msg, MsgHdrs, Status, Subscription } from "@nats-io/nats-core";
import { LONGEST_TIMER } from "../base/sleep.ts";
import type { Connection } from "../connection.ts";
import { PendingRequests, type Take } from "./pending_requests.ts";
import { isOneTooMany, RequestError } from "./request_error.ts";
import { total } from "./total.ts";

/** Receives what a consumer delivers. */
export interface PullInbox {
  /** Pulls once, as {@linkcode RequestMux.collect}; not before the pull before it has ended. */
  pull(payload: string, idle: number, take: Take): Promise<void>;
  /** Ends it. */
  close(): void;
}

const takeOne: Take = () => true;

/** The subject of an answer to a request of this library: the inbox, and a token. */
const ANSWER = /^(.*)\.[0-9a-f]{32}\.\d+$/;

/**
 * Sends requests and receives their answers over one subscription: each request has a token at the
 * end of its reply subject, which leads the answer back to it.
 * Every request ends: by its answer, by its timeout, or when the connection breaks, drains or
 * closes.
 */
export class RequestMux {
  readonly #connection: Connection;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #status: AsyncIterable<Status>;
  readonly #waiters = new PendingRequests();
  readonly #strays = new Set<(message: Msg) => void>();
  readonly #unanswerable = new Set<(inbox: string, cause: Error) => void>();
  /** Called when the connection is back, or closed. */
  readonly #resumptions = new Set<() => void>();
  /** Called with the server's word that one of the connection's subscriptions is too many. */
  readonly #doubters = new Set<(cause: unknown) => void>();
  #lastToken = 0;
  /** Whether an answer has come over this connection. */
  #isHeard = false;
  /** Why none may come. */
  #doubt: unknown;
  #excess: Error | undefined;
  #connected = true;
  #closed = false;
  /** The error that has closed it, if one did. */
  #cause: unknown;
  #epoch = 0;
  /** A message without an answer that the server has refused: reported when it is sent again. */
  #denied: { readonly subject: string; readonly cause: Error } | undefined;

  /** Subscribes to an inbox of its own on `connection`. */
  constructor(connection: Connection) {
    this.#connection = connection;
    this.#inbox = `${inboxPrefix(connection)}.${crypto.randomUUID().replaceAll("-", "")}.`;
    this.#subscription = connection.subscribe(`${this.#inbox}*`, {
      callback: total("taking an answer", (error, message) => {
        if (error) return this.#end(error);
        this.#isHeard = true;
        this.#doubt = undefined;
        const token = Number(message.subject.slice(this.#inbox.length));
        if (!this.#waiters.hand(token, message)) { for (const take of this.#strays) take(message); }
      }),
    });
    this.#status = connection.status();
    this.#watch();
    closeWith(connection, new WeakRef(this));
    this.#subscription.closed.then(() => this.#end());
  }

  /** Whether it is closed: no request can be sent any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The version of the server that the connection is to; `"unknown"` if it is not known. */
  get serverVersion(): string {
    return this.#connection.info?.version ?? "unknown";
  }

  /**
   * The server's last word that a subscription of the connection is one too many: another object each
   * time. It names none, so a caller compares it from before it has subscribed to after.
   */
  get excess(): Error | undefined {
    return this.#excess;
  }

  /** Bytes that the server takes in one message; `undefined` while there is no connection. */
  get maxPayload(): number | undefined {
    return this.#connection.info?.max_payload;
  }

  /** Whether the server that the connection is to has JetStream itself. */
  get hasJetStream(): boolean {
    return this.#connection.info?.jetstream === true;
  }

  /** Counts the breaks of the connection: messages sent in one epoch arrive in order. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Calls `take`, which must not throw, with each further answer to a request that has its answer. */
  onStray(take: (message: Msg) => void): void {
    this.#strays.add(take);
  }

  /**
   * Calls `take`, which must not throw, with the inbox of another client's requests to which the server
   * lets this connection send no answers, each time that it refuses one.
   */
  onUnanswerable(take: (inbox: string, cause: Error) => void): void {
    this.#unanswerable.add(take);
  }

  /** Sends `payload` to `subject` and returns the one answer, within `timeout` ms. */
  request(
    subject: string,
    payload: Uint8Array | string,
    timeout: number,
    headers?: MsgHdrs,
  ): Promise<Msg> {
    return this.collect(subject, payload, timeout, takeOne, headers);
  }

  /**
   * Sends `payload` to `subject` and hands each message of the answer to `take` until `take` returns
   * true; returns that last message. `idle` ms may pass before each. An error that `take` throws
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
    const answer = this.#waiters.add(token, subject, idle, take);
    if (this.#doubt !== undefined) this.#waiters.doubt(token, this.#doubt);
    return answer;
  }

  /**
   * Like {@linkcode RequestMux.collect} for a pull from a consumer, with an inbox of its own, because
   * a delivered message names a subject of the stream and no token.
   */
  async pull(subject: string, payload: string, idle: number, take: Take): Promise<void> {
    const inbox = this.openInbox(subject);
    try {
      await inbox.pull(payload, idle, take);
    } finally {
      inbox.close();
    }
  }

  /** An inbox for one pull after another by requests to `subject`; to be closed. */
  openInbox(subject: string): PullInbox {
    this.#checkOpen(subject);
    let token = ++this.#lastToken;
    const reply = `${this.#inbox}${token}.pull`;
    let inbox: Subscription;
    let isHeard = false;
    let refusal: RequestError | undefined;
    try {
      inbox = this.#connection.subscribe(reply, {
        callback: total("taking a delivery", (error, message) => {
          if (error) {
            refusal = new RequestError("denied", reply, false, { cause: error });
            this.#waiters.fail(token, refusal);
          } else {
            isHeard = true;
            this.#waiters.hand(token, message);
          }
        }),
      });
    } catch (error) {
      throw this.#classify(subject, error);
    }
    const doubt = (cause: unknown) => {
      if (!isHeard) this.#waiters.doubt(token, cause);
    };
    this.#doubters.add(doubt);
    return {
      pull: async (payload, idle, take) => {
        if (refusal !== undefined) throw refusal;
        token = ++this.#lastToken;
        this.#publish(subject, payload, reply);
        await this.#waiters.add(token, subject, idle, take);
      },
      close: () => {
        this.#doubters.delete(doubt);
        if (!this.#connection.isClosed() && !inbox.isClosed()) inbox.unsubscribe();
      },
    };
  }

  /**
   * Sends `payload` to `subject`, asking for no answer. If the server forbids it, the next send to
   * this subject throws that, once: the refusal arrives too late for this one.
   */
  send(subject: string, payload: Uint8Array, headers: MsgHdrs): void {
    this.#checkOpen(subject);
    if (this.#denied?.subject === subject) {
      const { cause } = this.#denied;
      this.#denied = undefined;
      throw new RequestError("denied", subject, false, { cause });
    }
    this.#publish(subject, payload, "", headers);
  }

  /**
   * Resolves when there is a connection or will never be one; after `ms`, or when `signal` is
   * aborted, at the latest.
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
    if (this.#closed) {
      throw new RequestError("closed", subject, false, { cause: this.#cause });
    }
    if (!this.#connected) throw new RequestError("disconnected", subject, false);
  }

  #classify(subject: string, error: unknown): unknown {
    if (error instanceof RequestError) return error;
    const name = error instanceof Error ? error.name : "";
    return name === "ClosedConnectionError" || name === "DrainingConnectionError"
      ? new RequestError("closed", subject, false, { cause: error })
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

  async #watch(): Promise<void> {
    for await (const status of this.#status) {
      if (status.type === "disconnect") {
        this.#connected = false;
        this.#denied = undefined;
        this.#isHeard = false;
        this.#doubt = undefined;
        this.#epoch++;
        this.#waiters.failAll("interrupted");
      } else if (status.type === "reconnect") {
        this.#connected = true;
        this.#resume();
      } else if (status.type === "error") {
        if (isOneTooMany(status.error)) this.#suspect(status.error);
        else this.#deny(status.error);
      }
    }
  }

  /** Ends a request that the server does not permit, at once: the server never answers it. */
  #deny(error: Error & { operation?: unknown; subject?: unknown }): void {
    if (error.name !== "PermissionViolationError" || error.operation !== "publish") return;
    const subject = String(error.subject);
    this.#denied = this.#waiters.deny(subject, error) ? undefined : { subject, cause: error };
    const [, inbox] = ANSWER.exec(subject) ?? [];
    if (inbox !== undefined) { for (const take of this.#unanswerable) take(inbox, error); }
  }

  /**
   * The server takes no more subscriptions of this connection, and does not name the one that it has
   * refused: it may be one over which nothing has come so far.
   */
  #suspect(cause: Error): void {
    this.#excess = cause;
    if (!this.#isHeard) {
      this.#doubt = cause;
      this.#waiters.doubtAll(cause);
    }
    for (const doubt of this.#doubters) doubt(cause);
  }

  #end(cause?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cause = cause;
    this.#waiters.failAll("closed", cause);
    this.#resume();
  }

  #resume(): void {
    for (const resume of this.#resumptions) resume();
  }
}

/**
 * Closes a mux with its connection, which lives longer than its stores and must not keep them all: so
 * this is outside of the constructor, where each function keeps all that any function there uses.
 */
function closeWith(connection: Connection, mux: WeakRef<RequestMux>): void {
  connection.closed().then(() => mux.deref()?.close());
}

/** The prefix that the connection was opened with; some servers permit no other. */
function inboxPrefix(connection: Connection): string {
  const { options } = connection as { options?: { inboxPrefix?: unknown } };
  return typeof options?.inboxPrefix === "string" ? options.inboxPrefix : "_INBOX";
}

/** Ends a status iterator from outside: nats.js offers this, though not by its type. */
function stop(status: AsyncIterable<Status>): void {
  const { stop } = status as { stop?: unknown };
  if (typeof stop === "function") stop.call(status);
}
