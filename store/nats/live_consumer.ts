import type { Msg } from "@nats-io/nats-core";
import { consumerOf, lost, nanos, PULL_BYTES } from "./consumer_config.ts";
import { DeliveredMessage, deliveryOf } from "./delivered_message.ts";
import { ApiError, type StreamApi, type StreamNames } from "./stream_api.ts";

/** Messages that one pull asks for: twice as many may be in memory. */
const PULL = 256;

/** What the server says where the next message is larger than a pull allows. */
const TOO_LARGE = "Message Size Exceeds MaxBytes";

/** What a feed delivers, and with what patience. */
export interface LiveConsumerOptions {
  /** An exact subject, or one with wildcards. */
  readonly subject: string;
  /** The sequence before the first one wanted. */
  readonly after: number;
  /** How long the consumer may be silent, in ms; a silence of 2.5 times that is its end. */
  readonly heartbeat: number;
}

/**
 * The messages of a subject from one place on, through a consumer of our own. The consumer
 * counts what it delivers: a count that does not follow on the one before ends the feed, and so
 * does a heartbeat that counts more than has come. A feed that ends says nothing of the stream;
 * whoever reads it opens another one after the last message that it was given.
 */
export class LiveConsumer {
  readonly #api: StreamApi<StreamNames>;
  readonly #name: string;
  readonly #heartbeat: number;
  #after: number;
  #arrived: DeliveredMessage[] = [];
  #count = 0;
  #pulling = false;
  /** Whether the next message is larger than a pull of several allows. */
  #large = false;
  #failure: unknown;
  #wake = Promise.withResolvers<void>();

  private constructor(
    api: StreamApi<StreamNames>,
    name: string,
    { after, heartbeat }: LiveConsumerOptions,
  ) {
    this.#api = api;
    this.#name = name;
    this.#after = after;
    this.#heartbeat = heartbeat;
  }

  /** Makes the consumer `name` and the feed through it. */
  static async open(
    api: StreamApi<StreamNames>,
    name: string,
    options: LiveConsumerOptions,
  ): Promise<LiveConsumer> {
    const { subject, after, heartbeat } = options;
    // It is kept for a while only: the safety net, where nobody is left to delete it.
    await api.consume(name, consumerOf(name, subject, after, 30 * heartbeat), heartbeat);
    return new LiveConsumer(api, name, options);
  }

  /**
   * What has arrived since the last call, in order; waits where that is nothing.
   *
   * @throws {WireError} The feed has ended.
   * @throws {ApiError} The feed has ended, by the server's word or a loss on the way.
   */
  async next(): Promise<readonly DeliveredMessage[]> {
    for (;;) {
      if (this.#failure === undefined && !this.#pulling) this.#pull();
      if (this.#arrived.length > 0) {
        const arrived = this.#arrived;
        this.#arrived = [];
        return arrived;
      }
      if (this.#failure !== undefined) throw this.#failure;
      this.#wake = Promise.withResolvers();
      await this.#wake.promise;
    }
  }

  /** Asks for more; when that is over, so is the pull, until the reader comes back. */
  #pull(): void {
    const batch = this.#large ? 1 : PULL;
    const query = {
      batch,
      ...(!this.#large && { max_bytes: PULL_BYTES }),
      expires: nanos(15 * this.#heartbeat),
      idle_heartbeat: nanos(this.#heartbeat),
    };
    this.#pulling = true;
    this.#large = false;
    let left = batch;
    const take = (message: Msg): boolean => {
      const delivery = deliveryOf(message);
      if (delivery === undefined) return this.#heed(message, left === batch);
      if (delivery.count !== this.#count + 1) throw lost();
      this.#count++;
      // A server may begin earlier, where its copy of the stream is behind at the time.
      if (delivery.sequence > this.#after) {
        this.#after = delivery.sequence;
        this.#arrived.push(new DeliveredMessage(message, delivery));
        this.#wake.resolve();
      }
      return --left === 0;
    };
    this.#api.pull(this.#name, query, 2.5 * this.#heartbeat, take).catch((error) => {
      this.#failure = error;
    }).finally(() => {
      this.#pulling = false;
      this.#wake.resolve();
    });
  }

  /** Hears what the server says beside messages; true where that ends the pull. */
  #heed({ headers }: Msg, empty: boolean): boolean {
    const { code = 0, description = "" } = headers ?? {};
    if (code === 100) {
      const count = headers?.get("Nats-Last-Consumer") ?? "";
      if (count !== "" && Number(count) !== this.#count) throw lost();
      return false;
    }
    if (description === TOO_LARGE) this.#large = empty;
    else if (code !== 408) throw new ApiError({ code: code === 400 ? 400 : 503, description });
    return true;
  }
}
