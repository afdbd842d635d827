import { assert, assertEquals } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import type { EventSubscription, RecordedEvent } from "../../store/mod.ts";
import type { Stored } from "./fault.ts";
import { api } from "./jetstream_api.ts";

/** Reads a subscription and keeps what it yields, in the order in which it came. */
export class Watch {
  /** The items so far. */
  readonly seen: { readonly sequence: number; readonly id: string }[] = [];
  readonly #work: Promise<void>;
  #failure: unknown;
  #ended = false;
  #progress = Promise.withResolvers<void>();

  /** Starts at once; `handle` holds the next event up. */
  constructor(
    subscription: EventSubscription,
    handle: (event: RecordedEvent) => void | Promise<void> = () => {},
  ) {
    this.#work = this.#run(subscription, handle);
  }

  /** Resolves when `count` more events have come; rejects with what ended the subscription. */
  async further(count: number): Promise<void> {
    const goal = this.seen.length + count;
    await this.#until(() => this.seen.length >= goal);
  }

  /** Resolves when the event at `sequence`, or a later one, has come. */
  async reach(sequence: number): Promise<void> {
    await this.#until(() => (this.seen.at(-1)?.sequence ?? 0) >= sequence);
  }

  /** Resolves with the error that ends the subscription, or `undefined`. */
  async end(): Promise<unknown> {
    await this.#work;
    return this.#failure;
  }

  /** Waits for the last of `stored`, then checks that just these came, once each, in order. */
  async assertSaw(stored: readonly Stored[]): Promise<void> {
    await this.reach(stored.at(-1)!.sequence);
    const sequences = this.seen.map(({ sequence }) => sequence);
    for (const [at, { sequence }] of stored.entries()) {
      assertEquals(sequences[at], sequence, `Sequence of event ${at + 1}`);
    }
    assertEquals(this.seen.length, stored.length, "Number of events");
    assert(
      stored.every(({ id }, at) => this.seen[at]!.id === id),
      "The events are the stored ones",
    );
  }

  async #until(reached: () => boolean): Promise<void> {
    while (!reached()) {
      if (this.#failure !== undefined) throw this.#failure;
      assert(!this.#ended, "The subscription has ended");
      await this.#progress.promise;
    }
  }

  async #run(
    subscription: EventSubscription,
    handle: (event: RecordedEvent) => void | Promise<void>,
  ): Promise<void> {
    try {
      for await (const event of subscription) {
        this.seen.push({ sequence: event.sequence, id: event.id });
        this.#tell();
        await handle(event);
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    this.#progress.resolve();
    this.#progress = Promise.withResolvers();
  }
}

/** The consumers of a stream. */
export async function consumersOf(connection: NatsConnection, stream: string): Promise<string[]> {
  const { consumers } = await api<{ consumers: string[] | null }>(
    connection,
    `CONSUMER.NAMES.${stream}`,
  );
  return consumers ?? [];
}

/** Resolves when the consumers of a stream are such as `wanted` says; gives them. */
export async function consumersAre(
  connection: NatsConnection,
  stream: string,
  wanted: (names: readonly string[]) => boolean,
): Promise<string[]> {
  for (;;) {
    const names = await consumersOf(connection, stream);
    if (wanted(names)) return names;
  }
}
