import type { Connection } from "../store/connection.ts";

/** How many publishes go out one by one before a run of them is gathered. */
const DIRECT = 8;
/** How many bytes are gathered at most: the size that nats.js sends in one piece. */
const GATHERED = 32 * 1024;
/** How many bytes are sent before the server is asked to confirm them. */
const WINDOW = 512 * 1024;

/**
 * Sends messages in their order. nats.js writes to the socket once for each run of publishes that
 * no `await` interrupts, so a loop that awaits each publish would pay for a write each time. This
 * class gathers such a loop's messages until it pauses for one turn of the microtask queue: it uses
 * no timer, and gathers only after the first few.
 */
export class Outbox {
  readonly #connection: Connection;
  readonly #reply: string;
  readonly #onError: (error: Error) => void;
  #waiting: { subject: string; body: Uint8Array }[] = [];
  #waitingBytes = 0;
  #watching = false;
  /** Messages of the present run, and their number one turn ago. */
  #run = 0;
  #lastRun = 0;
  #unconfirmed = 0;
  #confirmation: Promise<void> | undefined;

  /**
   * All messages name `reply`. `onError` gets the errors of gathered messages that could not be
   * sent.
   */
  constructor(connection: Connection, reply: string, onError: (error: Error) => void) {
    this.#connection = connection;
    this.#reply = reply;
    this.#onError = onError;
  }

  /**
   * Sends a message soon. Returns a promise to wait for if over 1 MiB is on its way already. Throws
   * as nats.js does when the connection takes no more.
   */
  send(subject: string, body: Uint8Array): Promise<void> | undefined {
    this.#run++;
    const closing = this.#connection.isClosed() || this.#connection.isDraining();
    if (this.#run <= DIRECT || closing) {
      this.flush();
      this.#connection.publish(subject, body, { reply: this.#reply });
    } else {
      this.#waiting.push({ subject, body });
      this.#waitingBytes += subject.length + body.length;
      if (this.#waitingBytes >= GATHERED) this.flush();
    }
    if (!this.#watching) {
      this.#watching = true;
      queueMicrotask(this.#watch);
    }
    this.#unconfirmed += subject.length + body.length;
    return this.#unconfirmed >= WINDOW ? this.#confirm() : undefined;
  }

  /** Sends the gathered messages. */
  flush(): void {
    const messages = this.#waiting;
    if (messages.length === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    try {
      for (const { subject, body } of messages) {
        this.#connection.publish(subject, body, { reply: this.#reply });
      }
    } catch (error) {
      this.#onError(error as Error);
    }
  }

  /** Waits for the window before, and asks for a confirmation of this one. */
  async #confirm(): Promise<void> {
    this.flush();
    this.#unconfirmed = 0;
    const before = this.#confirmation;
    // Disconnected or closed: messages may be lost, and the next publish reports it.
    this.#confirmation = this.#connection.flush().catch(() => {});
    await before;
  }

  readonly #watch = (): void => {
    if (this.#run !== this.#lastRun) {
      this.#lastRun = this.#run;
      return queueMicrotask(this.#watch);
    }
    this.#watching = false;
    this.#run = this.#lastRun = 0;
    this.flush();
  };
}
