import { sleep } from "../base/sleep.ts";
import { shardOf } from "../actor.ts";
import { StoreUnavailableError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { EventFilter } from "../options.ts";
import { PartitionBuffer, type SharedPosition, SIGHT } from "./partition_buffer.ts";
import type { EventStore, EventSubscription } from "../store.ts";

/** How long a common reading waits for partitions that begin at the same time, in ms. */
const GATHER = 20;

/** Options for {@linkcode ProjectionReader}. */
export interface ReaderOptions {
  readonly store: EventStore;
  readonly filter: EventFilter;
  /** Into how many partitions the actors are divided. */
  readonly of: number;
  /** Events that a partition takes at once. */
  readonly size: number;
  /** How long the others wait for a partition that is too slow, in ms. @default {1_000} */
  readonly patience?: number;
}

/** A subscription that several partitions share. */
interface Common<E extends Event> extends SharedPosition {
  /** By partition. */
  readonly buffers: Map<number, PartitionBuffer<E>>;
  /** Resolves when it is over. */
  done: Promise<void>;
  subscription: EventSubscription<E> | undefined;
  /** Sequence of its last event, or the one before its first; `undefined` before it begins. */
  at: number | undefined;
  caughtUp: boolean;
}

/** A subscription that one partition has for itself. */
interface Lone<E extends Event> {
  readonly subscription: EventSubscription<E>;
  readonly done: Promise<void>;
}

/**
 * Reads the events of all partitions that one process runs, by one subscription: a server that
 * had to filter them would take many times longer. A partition that is behind, for example after
 * a takeover, or that is too slow, reads by a subscription of its own until it has caught up with
 * the others.
 */
export class ProjectionReader<E extends Event> {
  readonly #options: ReaderOptions;
  readonly #filter: EventFilter;
  readonly #wanted: (event: E) => boolean;
  readonly #lone = new Map<PartitionBuffer<E>, Lone<E>>();
  #common: Common<E> | undefined;

  /** Reads nothing yet. */
  constructor(options: ReaderOptions) {
    const { eventTypes, ...filter } = options.filter;
    const types = eventTypes && new Set<string>(eventTypes);
    this.#options = options;
    this.#filter = filter;
    // It filters types itself, because unwanted events move the position too.
    this.#wanted = types === undefined ? () => true : ({ eventType }) => types.has(eventType);
  }

  /** Begins to read for a partition after sequence `after`. */
  join(partition: number, after: number): PartitionBuffer<E> {
    const { size } = this.#options;
    const buffer = new PartitionBuffer<E>(partition, after, { size, wanted: this.#wanted });
    const { at } = this.#common ?? {};
    if (at !== undefined && after < at) this.#readAlone(buffer);
    else this.#attach(buffer);
    return buffer;
  }

  /** Stops reading for a partition; resolves when nothing is held for it. */
  async leave(buffer: PartitionBuffer<E>): Promise<void> {
    buffer.end();
    const lone = this.#lone.get(buffer);
    if (lone !== undefined) {
      await Promise.all([lone.subscription[Symbol.asyncDispose](), lone.done]);
    }
    const common = this.#common;
    if (common?.buffers.get(buffer.partition) !== buffer) return;
    common.buffers.delete(buffer.partition);
    if (common.buffers.size > 0) return;
    this.#common = undefined;
    await Promise.all([common.subscription?.[Symbol.asyncDispose](), common.done]);
  }

  #attach(buffer: PartitionBuffer<E>): void {
    if (this.#common === undefined) {
      const common: Common<E> = this.#common = {
        buffers: new Map(),
        done: Promise.resolve(),
        subscription: undefined,
        at: undefined,
        last: undefined,
        caughtUp: false,
      };
      common.done = this.#readTogether(common);
    }
    const common = this.#common;
    common.buffers.set(buffer.partition, buffer);
    buffer.shared = common;
    if (common.caughtUp) buffer.reach();
  }

  async #readTogether(common: Common<E>): Promise<void> {
    const { store, of } = this.#options;
    const { buffers } = common;
    try {
      await sleep(of > 1 ? GATHER : 0);
      if (buffers.size === 0) return;
      common.at = Math.min(...[...buffers.values()].map(({ position }) => position));
      const subscription = store.subscribe<E>({ from: common.at + 1, filter: this.#filter });
      common.subscription = subscription;
      subscription.caughtUp.then(() => {
        common.caughtUp = true;
        for (const buffer of buffers.values()) buffer.reach();
      }, () => {});
      let pokedAt = performance.now();
      for await (const event of subscription) {
        common.at = event.sequence;
        common.last = event;
        const buffer = buffers.get(this.#partitionOf(event));
        if (buffer !== undefined) {
          buffer.give(event);
          if (buffer.full) await this.#waitFor(buffer, common);
        }
        const now = performance.now();
        if (now - pokedAt < SIGHT) continue;
        pokedAt = now;
        for (const buffer of buffers.values()) buffer.poke();
      }
      throw ended();
    } catch (error) {
      for (const buffer of buffers.values()) buffer.fail(error);
      if (this.#common === common) this.#common = undefined;
    }
  }

  /** Waits until the partition takes more; if that takes long, the others go on without it. */
  async #waitFor(buffer: PartitionBuffer<E>, { buffers }: Common<E>): Promise<void> {
    await buffer.room(this.#options.patience ?? 1_000);
    if (!buffer.full || buffer.ended || buffers.get(buffer.partition) !== buffer) return;
    buffers.delete(buffer.partition);
    this.#readAlone(buffer);
  }

  #readAlone(buffer: PartitionBuffer<E>): void {
    buffer.shared = undefined;
    const { store } = this.#options;
    const subscription = store.subscribe<E>({ from: buffer.position + 1, filter: this.#filter });
    subscription.caughtUp.then(() => buffer.reach(), () => {});
    const done = this.#catchUp(buffer, subscription);
    this.#lone.set(buffer, { subscription, done });
  }

  async #catchUp(buffer: PartitionBuffer<E>, subscription: EventSubscription<E>): Promise<void> {
    try {
      for await (const event of subscription) {
        if (buffer.ended) return;
        if (this.#partitionOf(event) === buffer.partition) buffer.give(event);
        else buffer.show(event);
        await buffer.room();
        if (buffer.ended) return;
        if (this.#isTogether(buffer)) {
          this.#lone.delete(buffer);
          return this.#attach(buffer);
        }
      }
      throw ended();
    } catch (error) {
      buffer.fail(error);
    } finally {
      this.#lone.delete(buffer);
    }
  }

  /** Whether it has come as far as the others, so that it can share their next events. */
  #isTogether({ position }: PartitionBuffer<E>): boolean {
    const { at } = this.#common ?? {};
    return at === undefined || position >= at;
  }

  #partitionOf({ actorId }: Event): number {
    const { of } = this.#options;
    return of === 1 ? 0 : shardOf(actorId, of);
  }
}

function ended(): StoreUnavailableError {
  return new StoreUnavailableError("Cannot go on with the projection: the store was disposed");
}
