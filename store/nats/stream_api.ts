import { isInstance } from "../base/text.ts";
import type { ConsumerConfig, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { headers, type Msg } from "@nats-io/nats-core";
import { decodeJson, encodeJson } from "../base/json.ts";
import type { Layout } from "../format/layout.ts";
import { isPassingInClient } from "./client_error.ts";
import { RequestError } from "./request_error.ts";
import type { PullInbox, RequestMux } from "./requests.ts";
import { isPassingCode, ServerCode } from "./server_code.ts";
import { FetchedMessage, type StoredMessage } from "./stored_message.ts";

export { ServerCode };

/** Thrown when the JetStream API answers with an error. */
export class ApiError extends Error {
  /** The server's `err_code`. */
  readonly code: number;
  /** The HTTP-like status: 503 means passing trouble. */
  readonly status: number;

  /** Takes the `error` of the answer. */
  constructor(error: { code: number; err_code?: number; description?: string }) {
    super(error.description ?? `error ${error.code}`);
    this.name = "ApiError";
    this.code = error.err_code ?? 0;
    this.status = error.code;
  }
}

/** The names of a stream. */
export interface StreamNames {
  /** The JetStream stream. */
  readonly stream: string;
}

/** Asks for more: for the stream's subjects, a page at a time, or for its lost messages. */
export interface InfoQuery {
  /** Which subjects. */
  readonly subjects_filter?: string;
  /** How many of them to skip. */
  readonly offset?: number;
  /** Asks for the sequences that are lost. */
  readonly deleted_details?: boolean;
}

/** The JetStream API of one stream. */
export class StreamApi<Names extends StreamNames = Layout> {
  /** Carries the requests. */
  readonly requests: RequestMux;
  /** The stream's names. */
  readonly layout: Names;
  /** The subject in front of the API's operations. */
  readonly prefix: string;
  /** The JetStream domain of the stream, `""` without one; `undefined` until the server says. */
  domain: string | undefined;
  /** When the stream was made, as the server says it. */
  created = "";
  /** Whether several servers have the stream, as the server said last. */
  isReplicated = false;
  /** When making a consumer is worth a try again, by the monotonic clock, in ms. */
  consumersFrom = 0;
  readonly #endings = new Set<Promise<void>>();

  /** Talks to the stream of `layout` over `requests`. */
  constructor(requests: RequestMux, layout: Names, prefix: string) {
    this.requests = requests;
    this.layout = layout;
    this.prefix = prefix;
  }

  /** Lets `ending`, which never rejects, go on by itself: only {@linkcode ended} waits for it. */
  leave(ending: Promise<void>): void {
    this.#endings.add(ending);
    ending.then(() => this.#endings.delete(ending));
  }

  /** Resolves when all that was left to end by itself has ended. */
  async ended(): Promise<void> {
    while (this.#endings.size > 0) await Promise.all(this.#endings);
  }

  /** The stream's configuration and state; `undefined` if there is no such stream. */
  async info(timeout: number, query: InfoQuery = {}): Promise<StreamInfo | undefined> {
    try {
      const info = await this.#call<StreamInfo & { domain?: string }>(
        "STREAM.INFO",
        query,
        timeout,
      );
      this.domain = info.domain ?? "";
      this.created = info.created;
      this.isReplicated = info.config.num_replicas > 1;
      return info;
    } catch (error) {
      if (isInstance(error, ApiError) && error.code === ServerCode.STREAM_NOT_FOUND) {
        return undefined;
      }
      throw error;
    }
  }

  /** Makes the stream; also succeeds if it exists with the same configuration. */
  async create(config: Partial<StreamConfig>, timeout: number): Promise<void> {
    await this.#call("STREAM.CREATE", config, timeout);
  }

  /**
   * A message as the stream's leader has it: the last of a subject, the first of it at `seq` or
   * after, or the one at `seq`; `undefined` if there is none.
   */
  async get(
    query:
      | { last_by_subj: string }
      | { seq: number; next_by_subj?: string }
      | { start_time: string; next_by_subj: string },
    timeout: number,
  ): Promise<StoredMessage | undefined> {
    try {
      const answer = await this.#call<{ message: ConstructorParameters<typeof FetchedMessage>[0] }>(
        "STREAM.MSG.GET",
        query,
        timeout,
      );
      return new FetchedMessage(answer.message);
    } catch (error) {
      if (isInstance(error, ApiError) && error.code === ServerCode.NO_MESSAGE) return undefined;
      throw error;
    }
  }

  /** The subject for requests that any replica answers from its own copy. */
  get direct(): string {
    return `${this.prefix}.DIRECT.GET.${this.layout.stream}`;
  }

  /** Stores the stream's first message unless there is one; true if this call stored it. */
  async found(subject: string, genesis: unknown, timeout: number): Promise<boolean> {
    const condition = headers();
    condition.set("Nats-Expected-Last-Sequence", "0");
    const body = encodeJson(genesis);
    const answer = await this.requests.request(subject, body, timeout, condition);
    return (decodeJson(answer.data) as { seq?: number }).seq === 1;
  }

  /** Makes the consumer `name`. */
  async consume(name: string, config: Partial<ConsumerConfig>, timeout: number): Promise<void> {
    const query = { stream_name: this.layout.stream, action: "create", config };
    await this.#call("CONSUMER.CREATE", query, timeout, name);
  }

  /** Deletes the consumer `name`; false if there is none. */
  async forget(name: string, timeout: number): Promise<boolean> {
    try {
      await this.#call("CONSUMER.DELETE", {}, timeout, name);
      return true;
    } catch (error) {
      if (!isInstance(error, ApiError) || error.status !== 404) throw error;
      return false;
    }
  }

  /** An inbox for pulls from the consumer `name`; to be closed. */
  openInbox(name: string): PullInbox {
    return this.requests.openInbox(this.#nextOf(name));
  }

  /** Pulls from the consumer `name`; `idle` and `take` as in {@linkcode RequestMux.pull}. */
  pull(
    name: string,
    query: unknown,
    idle: number,
    take: (message: Msg) => boolean,
  ): Promise<void> {
    return this.requests.pull(this.#nextOf(name), JSON.stringify(query), idle, take);
  }

  #nextOf(name: string): string {
    return `${this.prefix}.CONSUMER.MSG.NEXT.${this.layout.stream}.${name}`;
  }

  async #call<T>(
    operation: string,
    query: unknown,
    timeout: number,
    ...consumer: string[]
  ): Promise<T> {
    const subject = [this.prefix, operation, this.layout.stream, ...consumer].join(".");
    const answer = await this.requests.request(subject, JSON.stringify(query), timeout);
    const result = decodeJson(answer.data) as T & {
      error?: ConstructorParameters<typeof ApiError>[0];
    };
    if (result.error !== undefined) throw new ApiError(result.error);
    return result;
  }
}

/** Whether another try may succeed: the server was out of reach or in trouble for a moment. */
export function isPassing(error: unknown): boolean {
  if (isInstance(error, ApiError)) return isPassingCode(error.code, error.status);
  if (isInstance(error, RequestError)) {
    return error.failure !== "closed" && error.failure !== "denied";
  }
  return isPassingInClient(error);
}
