import { problemOf } from "../../adapters/http/problem.ts";
import { callHook } from "../../store/base/hook.ts";
import { plainJson } from "./plain_json.ts";
import { Refusal, statusOf } from "./refusal.ts";

/** Bytes that wait for a reader at most; what comes then is left out. */
export const MOST_WAITING = 256 * 1024;
/** How often each stream is looked after, in ms. */
const BEAT = 1_000;
/** Looks without a message after which a comment is sent: a client that has gone may show only then. */
const QUIET = 5;
/** Looks over which nobody takes a message, until the stream ends. */
const STALLED = 60;

const encoder = new TextEncoder();

/** One live answer: server-sent events, dropped where the reader is too slow for them. */
export class LiveStream {
  /** Aborted when the stream has ended, whoever ended it. */
  readonly signal: AbortSignal;
  readonly #ends = new AbortController();
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** Looks since the last message, and looks at which nothing of what waits was taken, in a row. */
  #quiet = 0;
  #behind = 0;
  /** Bytes that were given to the reader, and those that it had taken at the last look. */
  #given = 0;
  #taken = 0;
  readonly #beats = new Set<() => void>();

  /** The body of the answer. */
  readonly body: ReadableStream<Uint8Array>;

  /** Ends with the request, and with `over`. */
  constructor(request: Request, over: AbortSignal | undefined) {
    this.signal = this.#ends.signal;
    this.body = new ReadableStream<Uint8Array>(
      { start: (own) => void (this.#controller = own), cancel: () => this.#ends.abort() },
      { highWaterMark: MOST_WAITING, size: ({ byteLength }) => byteLength },
    );
    this.#give(encoder.encode(": open\n\n")); // so that the headers go out at once
    const leave = () => this.end();
    for (const signal of over === undefined ? [request.signal] : [request.signal, over]) {
      if (signal.aborted) this.end();
      signal.addEventListener("abort", leave, { once: true, signal: this.signal });
    }
  }

  /** Sends an event; false if it was left out, as the reader is too slow, or has gone. */
  send(name: string, value: object): boolean {
    return this.sendText(name, plainJson(value));
  }

  /** The same for a value as JSON. */
  sendText(name: string, json: string): boolean {
    return this.sendBytes([messageOf(name, json)]);
  }

  /** Sends messages that are bytes already; false as above. */
  sendBytes(messages: readonly Uint8Array[]): boolean {
    if (this.signal.aborted || (this.#controller.desiredSize ?? 0) <= 0) return false;
    this.#quiet = 0;
    this.#give(joined(messages));
    return true;
  }

  /** Sends an event that nothing replaces, whether or not there is room. */
  deliver(name: string, value: object): void {
    if (this.signal.aborted) return;
    this.#give(messageOf(name, plainJson(value)));
  }

  /** Calls `work` about once in a second. */
  onBeat(work: () => void): void {
    this.#beats.add(work);
  }

  /** Ends it, with a last message if it failed. */
  end(failure?: { readonly error: unknown }): void {
    if (this.signal.aborted) return;
    if (failure !== undefined) {
      const { details } = problemOf(failure.error, { status: statusOf });
      this.#give(messageOf("problem", JSON.stringify(details)));
    }
    this.#ends.abort();
    this.#controller.close();
  }

  /** Looks after it. */
  beat(): void {
    if (this.signal.aborted) return;
    for (const work of this.#beats) callHook("a live answer", work);
    const waiting = MOST_WAITING - (this.#controller.desiredSize ?? 0);
    const taken = this.#given - waiting;
    this.#behind = waiting > 0 && taken === this.#taken ? this.#behind + 1 : 0;
    this.#taken = taken;
    if (this.#behind >= STALLED) return this.#drop();
    if (++this.#quiet < QUIET || waiting > 0) return;
    this.#quiet = 0;
    this.#give(encoder.encode(":\n\n"));
  }

  #give(bytes: Uint8Array): void {
    this.#given += bytes.length;
    this.#controller.enqueue(bytes);
  }

  /** Ends it though its reader takes nothing: what waits is thrown away. */
  #drop(): void {
    this.#ends.abort();
    this.#controller.error(new Error("Nobody reads this answer"));
  }
}

/** The bytes of one message. */
export function messageOf(name: string, json: string): Uint8Array {
  return encoder.encode(`event: ${name}\ndata: ${json}\n\n`);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The live answers of one inspector, of which there may be only so many. */
export class LiveStreams {
  readonly #most: number;
  readonly #over: AbortSignal | undefined;
  readonly #onError: (error: unknown) => void;
  readonly #open = new Set<LiveStream>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Takes up to `most` at once, and ends them with `over`; `onError` gets what ends one. */
  constructor(
    most: number,
    over: AbortSignal | undefined,
    onError: (error: unknown) => void,
  ) {
    this.#most = most;
    this.#over = over;
    this.#onError = onError;
  }

  /** How many there may be. */
  get most(): number {
    return this.#most;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Answers with a stream that `work` feeds, until it resolves, rejects, or the client goes; with
   * `isOpenEnded` it goes on behind `work`.
   *
   * @throws {Refusal} 503: there are too many.
   */
  answer(
    request: Request,
    work: (stream: LiveStream) => Promise<void> | void,
    { isOpenEnded = false }: { readonly isOpenEnded?: boolean } = {},
  ): Response {
    if (this.#open.size >= this.#most) {
      throw new Refusal(503, `${this.#most} live answers are open, and no more may be: close some`);
    }
    const stream = new LiveStream(request, this.#over);
    if (!stream.signal.aborted) {
      this.#open.add(stream);
      this.#timer ??= setInterval(() => {
        for (const it of this.#open) it.beat();
      }, BEAT);
      stream.signal.addEventListener("abort", () => this.#forget(stream), { once: true });
      this.#feed(stream, work, isOpenEnded);
    }
    return new Response(stream.body, {
      headers: {
        "content-type": "text/event-stream",
        "x-accel-buffering": "no", // nginx would hold messages back
      },
    });
  }

  async #feed(
    stream: LiveStream,
    work: (stream: LiveStream) => Promise<void> | void,
    isOpenEnded: boolean,
  ): Promise<void> {
    try {
      await work(stream);
      if (!isOpenEnded) stream.end();
    } catch (error) {
      if (!stream.signal.aborted) this.#onError(error);
      stream.end({ error });
    }
  }

  #forget(stream: LiveStream): void {
    this.#open.delete(stream);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
