import type { Msg } from "@nats-io/nats-core";
import { consumerOf, lost, nanos, PULL_BYTES } from "./consumer_config.ts";
import { DeliveredMessage, deliveryOf } from "./delivered_message.ts";
import { ApiError, type StreamApi, type StreamNames } from "./stream_api.ts";

/** Messages that one pull asks for: twice as many may be in memory. */
const PULL = 256;

/** The server's description if the next message is larger than a pull allows. */
const TOO_LARGE = "Message Size Exceeds MaxBytes";

/** Options for {@linkcode LiveConsumer.open}. */
export interface LiveConsumerOptions {
  /** An exact subject, or one with wildcards. */
  readonly subject: string;
  /** The sequence before the first one wanted. */
  readonly after: number;
  /** How long the consumer may be silent, in ms; after 2.5 times that it counts as lost. */
  readonly heartbeat: number;
}

/**
 * Reads the messages of a subject from one place on, as they are stored, through a consumer of its
 * own on the server. That consumer counts what it delivers: this one ends when a count skips a
 * number, or when a heartbeat counts more than has arrived. Its end says nothing about the stream;
 * the reader opens another one after the last message that it received.
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

  /** Makes the consumer `name` on the server, to read through it. */
  static async open(
    api: StreamApi<StreamNames>,
    name: string,
    options: LiveConsumerOptions,
  ): Promise<LiveConsumer> {
    const { subject, after, heartbeat } = options;
    // The server keeps it for a while only, in case nobody is left to delete it.
    await api.consume(name, consumerOf(name, subject, after, 30 * heartbeat), heartbeat);
    return new LiveConsumer(api, name, options);
  }

  /**
   * The messages that have arrived since the last call, in order; waits until there are any.
   *
   * @throws {RequestError} It has ended: the server did not answer, or the connection broke.
   * @throws {ApiError} It has ended: the server reported an error, or a message was lost.
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

  /** Pulls once; the next pull begins when the reader asks for more after this one is over. */
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
      if (delivery === undefined) return this.#readStatus(message, left === batch);
      if (delivery.count !== this.#count + 1) throw lost();
      this.#count++;
      // A server begins earlier if its copy of the stream lags behind at the time.
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

  /** Reads a status of the server; true if it ends the pull. */
  #readStatus({ headers }: Msg, empty: boolean): boolean {
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
