import { sleep } from "../base/sleep.ts";
import { shardOf } from "../actor.ts";
import type { Arrival } from "./arrival.ts";
import { StoreUnavailableError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { EventFilter } from "../options.ts";
import { PartitionBuffer, type SeenEvent, type SharedPosition, SIGHT } from "./partition_buffer.ts";
import { Reading, type ReadingParts } from "./reading.ts";
import type { EventStore } from "../store.ts";

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
  /** Whether a message that belongs to no actor is to be passed over. @default {none is} */
  readonly isSkipped?: (sequence: number) => boolean;
  /** Called when the store's codec cannot decode for now; the reading tries again. @default {nothing} */
  readonly onWaiting?: (error: unknown) => void;
  /** How long the others wait for a partition that is too slow, in ms. @default {1_000} */
  readonly patience?: number;
}

/** A reading that several partitions share. */
interface Common<E extends Event> extends SharedPosition {
  /** By partition. */
  readonly buffers: Map<number, PartitionBuffer<E>>;
  /** Resolves when it is over. */
  done: Promise<void>;
  reading: Reading<E> | undefined;
  /** Sequence of its last event, or the one before its first; `undefined` before it begins. */
  at: number | undefined;
  caughtUp: boolean;
}

/** A reading that one partition has for itself. */
interface Lone<E extends Event> {
  readonly reading: Reading<E>;
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
  readonly #lone = new Map<PartitionBuffer<E>, Lone<E>>();
  #common: Common<E> | undefined;

  /** Reads nothing yet. */
  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** Begins to read for a partition after sequence `after`. */
  join(partition: number, after: number): PartitionBuffer<E> {
    const { size } = this.#options;
    const buffer = new PartitionBuffer<E>(partition, after, size);
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
      await Promise.all([lone.reading.end(), lone.done]);
    }
    const common = this.#common;
    if (common === undefined) return;
    const { buffers } = common;
    if (buffers.get(buffer.partition) === buffer) buffers.delete(buffer.partition);
    // Also where its last partition has become slow and reads alone: nobody else would end it.
    if (buffers.size > 0) return;
    this.#common = undefined;
    await Promise.all([common.reading?.end(), common.done]);
  }

  #attach(buffer: PartitionBuffer<E>): void {
    if (this.#common === undefined) {
      const common: Common<E> = this.#common = {
        buffers: new Map(),
        done: Promise.resolve(),
        reading: undefined,
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
    const { of } = this.#options;
    const { buffers } = common;
    try {
      await sleep(of > 1 ? GATHER : 0);
      if (buffers.size === 0) return;
      common.at = Math.min(...[...buffers.values()].map(({ position }) => position));
      let pokedAt = performance.now();
      const onPassed = (event: SeenEvent): void => {
        common.at = event.sequence;
        common.last = event;
        const now = performance.now();
        if (now - pokedAt < SIGHT) return;
        pokedAt = now;
        for (const buffer of buffers.values()) buffer.poke();
      };
      const onArrival = (arrival: Arrival<E>): Promise<void> | undefined => {
        const buffer = buffers.get(this.#partitionOf(arrival));
        buffer?.give(arrival);
        onPassed(seen(arrival));
        return buffer?.full ? this.#waitFor(buffer, common) : undefined;
      };
      const onCaughtUp = (): void => {
        common.caughtUp = true;
        for (const buffer of buffers.values()) buffer.reach();
      };
      common.reading = this.#reading({ onArrival, onPassed, onCaughtUp });
      await common.reading.run(common.at + 1);
      throw ended();
    } catch (error) {
      for (const buffer of buffers.values()) buffer.fail(error);
      if (this.#common === common) this.#common = undefined;
    }
  }

  #reading(
    parts: Pick<ReadingParts<E>, "onArrival" | "onPassed" | "onCaughtUp">,
  ): Reading<E> {
    const { store, filter, isSkipped = () => false, onWaiting = () => {} } = this.#options;
    return new Reading({ store, filter, isSkipped, onWaiting, ...parts });
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
    let isAttached = false;
    /** At once, before the others read on: from here on their reading is the buffer's. */
    const attach = (): void => {
      if (isAttached || buffer.ended || !this.#isTogether(buffer)) return;
      isAttached = true;
      this.#lone.delete(buffer);
      this.#attach(buffer);
    };
    const reading = this.#reading({
      onArrival: async (arrival) => {
        if (isAttached || buffer.ended) return reading.stop();
        if (this.#partitionOf(arrival) === buffer.partition) buffer.give(arrival);
        else buffer.show(seen(arrival));
        await buffer.room();
        attach();
        if (isAttached || buffer.ended) reading.stop();
      },
      onPassed: (event) => {
        if (isAttached) return;
        buffer.show(event);
        attach();
        if (isAttached) reading.end().catch(() => {}); // a failure there ends with it
      },
      onCaughtUp: () => {
        if (!isAttached) buffer.reach();
      },
    });
    const done = reading.run(buffer.position + 1).then(() => {
      if (!isAttached && !buffer.ended) throw ended();
    }).catch((error) => {
      if (!isAttached) buffer.fail(error);
    }).finally(() => {
      if (this.#lone.get(buffer)?.reading === reading) this.#lone.delete(buffer);
    });
    this.#lone.set(buffer, { reading, done });
  }

  /** Whether it has come as far as the others, so that it can share their next events. */
  #isTogether({ position }: PartitionBuffer<E>): boolean {
    const { at } = this.#common ?? {};
    return at === undefined || position >= at;
  }

  #partitionOf({ actorId }: SeenEvent): number {
    const { of } = this.#options;
    return of === 1 ? 0 : shardOf(actorId, of);
  }
}

/** Without the event: it must not be kept in memory, and its handler may change it. */
function seen({ sequence, id, actorId }: SeenEvent): SeenEvent {
  return { sequence, id, actorId };
}

function ended(): StoreUnavailableError {
  return new StoreUnavailableError("Cannot go on with the projection: the store was disposed");
}
