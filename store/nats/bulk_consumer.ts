import type { Msg } from "@nats-io/nats-core";
import { consumerOf, lost, PULL_BYTES } from "./consumer_config.ts";
import { DeliveredMessage } from "./delivered_message.ts";
import { RequestError } from "./request_error.ts";
import type { StoredMessage } from "./stored_message.ts";
import type { StreamApi } from "./stream_api.ts";

/** Messages that are asked for at once. */
const PULL = 512;
/** How long the server keeps the consumer of a reader who is busy or gone, in ms. */
const KEPT = 10_000;
/** How long a request may take, in ms: direct ones do without it. */
const PATIENCE = 500;

/**
 * A long consumer of the messages of a subject, through a consumer: to make one takes a few
 * requests, and what it delivers costs the server less than half of what direct requests do.
 * It promises nothing: whoever reads it checks that it is whole, and can do without it.
 */
export class BulkConsumer {
  readonly #api: StreamApi;
  readonly #name: string;
  /** How long one request may take, in ms. */
  readonly #patience: number;
  #after: number;
  /** Messages that the consumer has delivered, as they were counted here. */
  #count = 0;

  private constructor(api: StreamApi, name: string, after: number, patience: number) {
    this.#api = api;
    this.#name = name;
    this.#patience = patience;
    this.#after = after;
  }

  /** The consumer of `subject` behind sequence `after`; each request may take `requestTimeout` ms at most. */
  static async open(
    api: StreamApi,
    subject: string,
    after: number,
    requestTimeout: number,
  ): Promise<BulkConsumer> {
    const name = `aether-${crypto.randomUUID()}`;
    const patience = Math.min(requestTimeout, PATIENCE);
    const consumer = new BulkConsumer(api, name, after, patience);
    try {
      await api.consume(name, consumerOf(name, subject, after, KEPT), patience);
    } catch (error) {
      // It may be made late, by a server that does not answer: nobody waits for that.
      if (error instanceof RequestError && error.maybeSent) consumer.close();
      throw error;
    }
    return consumer;
  }

  /** The next messages, as many as there are or fit. */
  async next(): Promise<readonly StoredMessage[]> {
    const messages: DeliveredMessage[] = [];
    const query = { batch: PULL, max_bytes: PULL_BYTES, no_wait: true };
    const take = (message: Msg): boolean => {
      const delivered = new DeliveredMessage(message);
      // What has a status is the server's word that there is no more, or why.
      return delivered.status !== 0 || messages.push(delivered) === PULL;
    };
    await this.#api.pull(this.#name, query, this.#patience, take);
    if (messages.length === 0) return messages;
    const last = messages.at(-1)!.delivery;
    this.#count += messages.length;
    // Each one counts: where the last has the right number, none was lost.
    if (last.count !== this.#count) throw lost();
    const after = this.#after;
    this.#after = last.sequence;
    // A server may begin earlier, where its copy of the stream is behind at the time.
    return messages[0]!.sequence > after
      ? messages
      : messages.filter(({ sequence }) => sequence > after);
  }

  /** Deletes the consumer; one out of reach ends by itself. */
  async close(): Promise<void> {
    await this.#api.forget(this.#name, this.#patience).catch(() => {});
  }
}
