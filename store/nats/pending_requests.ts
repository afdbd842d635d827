import type { Msg } from "@nats-io/nats-core";
import { RequestError, type RequestFailure } from "./request_error.ts";

/** Takes one message of the answer; returns true if it was the last one. */
export type Take = (message: Msg) => boolean;

interface Waiter {
  readonly subject: string;
  readonly take: Take;
  readonly idle: number;
  deadline: number;
  /** Whether a part of the answer has come. */
  heard: boolean;
  /** Why none may come. */
  doubt?: unknown;
  readonly resolve: (last: Msg) => void;
  readonly reject: (error: unknown) => void;
}

/** How many requests are remembered whose answers may come late. */
const MOST_GIVEN_UP = 10_000;

/** The requests that wait for an answer, by token. One timer serves all. */
export class PendingRequests {
  readonly #waiters = new Map<number, Waiter>();
  /** Requests that were given up: their answers may still come. */
  readonly #givenUp = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;

  /**
   * The last message of the answer to the request just sent to `subject` with `token`; `idle` ms
   * may pass before each message.
   */
  add(token: number, subject: string, idle: number, take: Take): Promise<Msg> {
    const { promise, resolve, reject } = Promise.withResolvers<Msg>();
    const deadline = performance.now() + idle;
    this.#waiters.set(token, { subject, take, idle, deadline, heard: false, resolve, reject });
    this.#schedule(deadline);
    return promise;
  }

  /** Hands `message` to the request that waits for it; false if that one has its answer already. */
  hand(token: number, message: Msg): boolean {
    const waiter = this.#waiters.get(token);
    if (waiter === undefined) return this.#givenUp.delete(token);
    try {
      if (!waiter.heard && message.data.length === 0 && message.headers?.code === 503) {
        throw new RequestError("no responders", waiter.subject, false);
      }
      waiter.heard = true;
      if (waiter.take(message)) {
        this.#waiters.delete(token);
        waiter.resolve(message);
      } else {
        waiter.deadline = performance.now() + waiter.idle;
      }
    } catch (error) {
      this.fail(token, error);
    }
    return true;
  }

  /** Ends one request. */
  fail(token: number, error: unknown): void {
    this.#waiters.get(token)?.reject(error);
    if (this.#waiters.delete(token)) this.#giveUp(token);
  }

  #giveUp(token: number): void {
    this.#givenUp.add(token);
    if (this.#givenUp.size > MOST_GIVEN_UP) {
      this.#givenUp.delete(this.#givenUp.values().next().value!);
    }
  }

  /** Ends the requests to `subject`, which the server does not permit; false if there are none. */
  deny(subject: unknown, cause: unknown): boolean {
    let isAny = false;
    for (const [token, waiter] of this.#waiters) {
      if (waiter.subject !== subject) continue;
      isAny = true;
      this.fail(token, new RequestError("denied", waiter.subject, false, { cause }));
    }
    return isAny;
  }

  /** If no part of the answer comes in time, `cause` is why: the server refuses to deliver it. */
  doubt(token: number, cause: unknown): void {
    const waiter = this.#waiters.get(token);
    if (waiter !== undefined) waiter.doubt = cause;
  }

  /** As {@linkcode PendingRequests.doubt}, of all of them. */
  doubtAll(cause: unknown): void {
    for (const waiter of this.#waiters.values()) waiter.doubt = cause;
  }

  /** Ends all of them. */
  failAll(failure: RequestFailure, cause?: unknown): void {
    clearTimeout(this.#timer);
    this.#timerAt = Infinity;
    for (const [token, { subject, reject }] of this.#waiters) {
      this.#giveUp(token);
      reject(new RequestError(failure, subject, true, { cause }));
    }
    this.#waiters.clear();
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
        this.#giveUp(token);
        const { doubt: cause } = waiter;
        waiter.reject(
          cause === undefined || waiter.heard
            ? new RequestError("timeout", waiter.subject, true)
            : new RequestError("denied", waiter.subject, true, { cause }),
        );
      } else {
        next = Math.min(next, waiter.deadline);
      }
    }
    if (next < Infinity) this.#schedule(next);
  }
}
