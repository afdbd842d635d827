import { isInstance } from "../base/text.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import { isAetherError, PoisonEventError, StreamRegressedError } from "../errors.ts";
import { isCodecFailure } from "../format/decode.ts";
import { isClosed } from "../nats/failure.ts";
import { type Arrival, type EventFacts, readArrivals } from "./arrival.ts";
import type { Event, RecordedEvent } from "../event.ts";
import type { EventFilter } from "../options.ts";
import type { ProjectionHandler } from "./handler.ts";
import { type PartitionBuffer, type SeenEvent, SIGHT } from "./partition_buffer.ts";
import type { ProjectionMonitor } from "./monitor.ts";
import { HandlerFailure, type PartitionOwner } from "./partition_owner.ts";
import type { ProjectionReader } from "./reader.ts";
import { park, type PartitionId, passed, reparked, shortReason } from "./state.ts";
import type { EventStore } from "../store.ts";

/** How long it looks for a checkpoint's event, in ms: a server may lag for a moment. */
const PATIENCE = 1_000;
/** Thrown to leave off when the partition is stopping. */
const STOPPED = /* @__PURE__ */ new DOMException("The projection is being stopped", "AbortError");

/** How to go on when the handler of an event fails. */
export interface FailurePolicy {
  /** Tries of one event. */
  readonly attempts: number;
  /** Wait before the second try, in ms; it doubles. */
  readonly delay: number;
  /** The longest wait, in ms. */
  readonly maxDelay: number;
  /** Whether an error of the handler makes the try the last one. */
  readonly isFinal: (error: unknown) => boolean;
  readonly onPoison: "park" | "halt";
  /** Actors that may be parked in one partition; one more halts the projection. */
  readonly maxParked: number;
}

/** A partition that this process has claimed. */
export interface HeldPartition {
  readonly partitionId: PartitionId;
  /** Position of the last event that is handled. */
  readonly sequence: number;
  /** Aborted when the partition is given up. */
  readonly signal: AbortSignal;
  /** Has the next owner wait for work that ends soon after `signal` is aborted, and never rejects. */
  readonly waitFor: (work: Promise<void>) => void;
}

/** The parts that run a partition. */
export interface PartitionParts<Tx, E extends Event> {
  readonly name: string;
  readonly partitionId: PartitionId;
  readonly store: EventStore;
  readonly filter: EventFilter;
  readonly handler: ProjectionHandler<Tx, E>;
  readonly owner: PartitionOwner<Tx>;
  readonly failure: FailurePolicy;
  readonly monitor: ProjectionMonitor;
  /** Reads the events of all partitions of the version. */
  readonly reader: ProjectionReader<E>;
  /** Actors to try again, each with the name of the request. */
  readonly retries: () => Readonly<Record<string, string>>;
  /** Whether its version is built beside the active one. */
  readonly isBuilt: () => boolean;
  /** Ends it, after the event at hand. */
  readonly signal: AbortSignal;
  readonly onError: (error: unknown, event?: RecordedEvent) => void;
  /** Called when it is claimed, before its first event; `signal` is aborted when it is given up. */
  readonly onHeld: (held: HeldPartition) => Promise<void>;
  /** Called when it has reached the store's end for the first time, and that is saved. */
  readonly onCaughtUp: () => void;
  /** Called instead of `onHeld` if its version is retired. */
  readonly onRetired: () => void;
}

/** Handles the events of one partition, in order, one at a time. */
export class PartitionRun<Tx, E extends Event> {
  readonly #parts: PartitionParts<Tx, E>;
  #buffer: PartitionBuffer<E> | undefined;
  readonly #work: Promise<void>[] = [];

  /** Does nothing yet. */
  constructor(parts: PartitionParts<Tx, E>) {
    this.#parts = parts;
  }

  /** Resolves when it was stopped or its version retired; rejects with the error that ends it. */
  async run(): Promise<void> {
    const { owner, signal } = this.#parts;
    try {
      await owner.claim();
      if (owner.state.retired) return this.#parts.onRetired();
      await this.#verify();
      const { partitionId, onHeld } = this.#parts;
      const waitFor = (work: Promise<void>) => void this.#work.push(work);
      await onHeld({ partitionId, sequence: owner.state.sequence, signal, waitFor });
      await this.#follow();
    } catch (error) {
      if (!signal.aborted || (error !== STOPPED && error !== signal.reason)) throw error;
    }
  }

  /** Resolves when the work has ended that goes with the partition: it is given up before. */
  async settled(): Promise<void> {
    await Promise.all(this.#work);
  }

  /** Makes it look for actors to try again. */
  poke(): void {
    this.#buffer?.poke();
  }

  /** Proves that the event at the checkpoint is still in its place. */
  async #verify(): Promise<void> {
    const { name, owner } = this.#parts;
    const { sequence, eventId, actorId } = owner.state;
    if (eventId === "") return; // It has seen no event yet.
    let deadline = performance.now() + PATIENCE;
    for (;;) {
      const { found, isLate } = await this.#firstFrom(sequence, actorId);
      if (isLate) deadline = performance.now() + PATIENCE;
      // If the message names no id, its place has to be enough.
      const isSame = found?.failure === undefined
        ? found?.id === eventId
        : [eventId, ""].includes(found.id);
      if (found?.sequence === sequence && isSame) return;
      const isOther = found?.sequence === sequence;
      if (!isOther && performance.now() < deadline) {
        await sleep(PATIENCE / 10, this.#parts.signal);
        continue;
      }
      throw new StreamRegressedError(
        `projection "${name}"`,
        sequence,
        found?.sequence ?? 0,
        `its checkpoint is at event "${eventId}", sequence ${sequence}, where the store has ` +
          `${isOther ? `event "${found!.id}"` : "none of that actor"}; the store was restored or ` +
          "lost its tail: rebuild the projection (a reactor: resumeAt())",
      );
    }
  }

  async #follow(): Promise<void> {
    const { partitionId, owner, signal, reader, retries, onCaughtUp } = this.#parts;
    const buffer = this.#buffer = reader.join(partitionId.partition, owner.state.sequence);
    try {
      const isNew = () => buffer.caughtUp && !owner.state.caughtUp;
      const isDue = () => buffer.position > owner.state.sequence && owner.age > SIGHT;
      const wake = () =>
        isNew() || isDue() || owner.isQuiet || this.#asked(retries()) !== undefined;
      while (!signal.aborted) {
        const { events, seen } = await buffer.take(wake, signal);
        await this.#handle(events);
        if (seen !== undefined && !signal.aborted) this.#see(seen);
        const caughtUp = isNew();
        if (caughtUp) owner.state = { ...owner.state, caughtUp };
        await owner.save();
        if (caughtUp) onCaughtUp();
        for (let actor = this.#asked(retries()); actor; actor = this.#asked(retries())) {
          await this.#unpark(actor, retries()[actor]!);
        }
      }
    } finally {
      await reader.leave(buffer);
    }
  }

  /** Moves on to `seen`; a position after an unwanted event is saved only now and then. */
  #see({ sequence, id: eventId, actorId }: SeenEvent): void {
    const { owner } = this.#parts;
    if (sequence <= owner.state.sequence) return;
    const state = { ...owner.state, sequence, eventId, actorId };
    if (owner.age > SIGHT) owner.state = state;
    else owner.note(state);
  }

  async #handle(events: readonly Arrival<E>[]): Promise<void> {
    const { owner, signal } = this.#parts;
    const isTogether = owner.transactional && events.length > 1 &&
      events.every(({ failure }) => failure === undefined);
    if (isTogether && await this.#handleTogether(events)) return;
    for (const event of events) {
      if (signal.aborted) return;
      if (this.#isParked(event.actorId)) owner.state = passed(owner.state, event);
      else await this.#handleOne(event);
    }
  }

  /** Handles all in one transaction; false if one of them fails, so that none is handled. */
  async #handleTogether(events: readonly Arrival<E>[]): Promise<boolean> {
    const { owner, signal } = this.#parts;
    const after = events.reduce(passed, owner.state);
    try {
      await owner.commit(after, async (tx) => {
        for (const event of events) {
          if (signal.aborted) throw STOPPED;
          if (!this.#isParked(event.actorId)) await this.#call(event, tx);
        }
      });
      return true;
    } catch (error) {
      if (isInstance(error, HandlerFailure)) return false; // Then each by itself.
      throw error;
    }
  }

  /** Tries one event until it is handled or parked. */
  async #handleOne(event: Arrival<E>): Promise<void> {
    const { name, owner, signal, failure, onError, monitor, isBuilt } = this.#parts;
    const nextWait = jitteredWaits(failure.delay, failure.maxDelay);
    for (let attempts = 1;; attempts++) {
      const failed = await this.#try(event, passed(owner.state, event));
      if (failed === undefined) return;
      if (signal.aborted) throw await this.#stopped();
      onError(failed.cause, failed.event);
      // Bytes that this code cannot read now it never can. Nor is a version being built worth many
      // tries: it costs nothing that is read.
      const isLast = attempts >= failure.attempts || failure.isFinal(failed.cause) ||
        (failure.onPoison === "halt"
          ? failed.isUnreadable || isBuilt()
          : failed.isUnreadable && !isCodecFailure(failed.cause));
      if (isLast) {
        const isFull = owner.state.parked.length >= failure.maxParked;
        if (failure.onPoison === "halt" || isFull) {
          await owner.save();
          if (failed.isUnreadable) throw failed.cause;
          throw new PoisonEventError(name, event, attempts, { cause: failed.cause });
        }
        owner.state = park(owner.state, event, failed.cause, attempts);
        monitor.park(event);
        return await owner.save();
      }
      await sleep(nextWait(), signal);
      if (signal.aborted) throw await this.#stopped();
    }
  }

  /** Handles an event and moves on to `after`; returns the failure if it fails. */
  async #try(
    arrival: Arrival<E>,
    after: PartitionOwner<Tx>["state"],
  ): Promise<Failed | undefined> {
    const { owner } = this.#parts;
    const readable = await this.#readable(arrival).catch(async (error) => {
      throw error === STOPPED ? await this.#stopped() : error;
    });
    if (readable.failure !== undefined) {
      return { cause: readable.failure.error, isUnreadable: true, event: undefined };
    }
    const { event } = readable;
    if (!owner.transactional) {
      try {
        await this.#call(readable, undefined as Tx);
      } catch (cause) {
        return { cause, isUnreadable: false, event };
      }
      owner.state = after;
      return undefined;
    }
    try {
      await owner.commit(after, (tx) => this.#call(readable, tx));
      return undefined;
    } catch (error) {
      if (isInstance(error, HandlerFailure)) {
        return { cause: error.cause, isUnreadable: false, event };
      }
      throw error;
    }
  }

  async #call(arrival: Arrival<E>, tx: Tx): Promise<void> {
    const { partitionId, signal, handler, monitor } = this.#parts;
    const { version, partition } = partitionId;
    const { event, failure, isReplay = true } = await this.#readable(arrival);
    if (failure !== undefined) throw failure.error;
    arrival.event = undefined;
    await monitor.handle(
      event!,
      partitionId,
      () => handler(event!, { tx, version, partition, isReplay, signal }),
    );
  }

  /**
   * The arrival with an event that no handler was given yet: a handler may have changed the one that
   * it was given, so for another call the event is read again.
   */
  async #readable(arrival: Arrival<E>): Promise<Arrival<E>> {
    if (arrival.event !== undefined || arrival.failure !== undefined && !arrival.isTried) {
      arrival.isTried = true;
      return arrival;
    }
    const { sequence, actorId } = arrival;
    const { found } = await this.#firstFrom(sequence, actorId);
    if (found?.sequence === sequence) return { ...found, isReplay: arrival.isReplay ?? true };
    throw new StreamRegressedError(
      `projection "${this.#parts.name}"`,
      sequence,
      found?.sequence ?? 0,
      `its event "${arrival.id}" at sequence ${sequence} is gone`,
    );
  }

  /**
   * The first event of an actor from a position on, and whether the store was out of reach before:
   * that is waited for, however long it takes.
   */
  async #firstFrom(
    from: number,
    actorId: string,
  ): Promise<{ readonly found: Arrival<E> | undefined; readonly isLate: boolean }> {
    const { store, signal, onError } = this.#parts;
    const nextWait = jitteredWaits(PATIENCE / 10, 10 * PATIENCE);
    for (let isLate = false;; isLate = true) {
      try {
        const options = { from, filter: { actorId }, signal };
        return { found: await firstOf(readArrivals<E>(store, options)), isLate };
      } catch (error) {
        if (signal.aborted) throw STOPPED;
        if (!isOutage(error)) throw error;
        onError(error);
        await sleep(nextWait(), signal);
      }
    }
  }

  /** Saves the position; returns the error to throw. */
  async #stopped(): Promise<Error> {
    await this.#parts.owner.save();
    return STOPPED;
  }

  #isParked(actorId: string): boolean {
    return this.#parts.owner.state.parked.some((it) => it.actorId === actorId);
  }

  /** A parked actor whose request is not answered yet. */
  #asked(retries: Readonly<Record<string, string>>): string | undefined {
    if (this.#parts.signal.aborted) return undefined;
    const { parked } = this.#parts.owner.state;
    return parked.find(({ actorId, answered }) =>
      Object.hasOwn(retries, actorId) && retries[actorId] !== answered
    )?.actorId;
  }

  /**
   * Tries the parked events of an actor again, in order, up to the partition's position. If the
   * store is out of reach meanwhile, it waits for that, and goes on after the last one handled.
   */
  async #unpark(actorId: string, answered: string): Promise<void> {
    const { signal, onError } = this.#parts;
    const nextWait = jitteredWaits(PATIENCE / 10, 10 * PATIENCE);
    for (;;) {
      try {
        return await this.#tryParked(actorId, answered);
      } catch (error) {
        if (!isOutage(error)) throw error;
        if (signal.aborted) throw STOPPED;
        onError(error);
        await sleep(nextWait(), signal);
        if (signal.aborted) throw STOPPED;
      }
    }
  }

  async #tryParked(actorId: string, answered: string): Promise<void> {
    const { store, filter, owner, signal, onError } = this.#parts;
    const own = owner.state.parked.find((it) => it.actorId === actorId)!;
    const wanted = { from: own.sequence, filter: { ...filter, actorId }, signal };
    // The filter may have changed since, and leave the actor out.
    const isWanted = (filter.actorId ?? actorId) === actorId;
    let loss: Error | undefined;
    const arrivals = isWanted ? readArrivals<E>(store, wanted, (error) => loss ??= error) : [];
    for await (const event of arrivals) {
      if (loss !== undefined && this.#waiting(actorId) > 0) {
        onError(loss);
        return await this.#parkBefore(actorId, answered, loss);
      }
      if (event.sequence > owner.state.sequence) break;
      const after = reparked(owner.state, actorId, (it) => ({
        ...it,
        sequence: event.sequence + 1,
        events: it.events - 1,
      }));
      const failed = await this.#try(event, after);
      if (failed !== undefined) {
        if (!signal.aborted) {
          onError(failed.cause, failed.event);
          this.#parkAgain(event, answered, failed.cause);
        }
        return await owner.save();
      }
      await owner.save();
      if (signal.aborted) return;
    }
    owner.state = reparked(owner.state, actorId, () => undefined);
    await owner.save();
  }

  /** How many events of a parked actor have not been tried again. */
  #waiting(actorId: string): number {
    return this.#parts.owner.state.parked.find((it) => it.actorId === actorId)?.events ?? 0;
  }

  /** Leaves the actor parked where it is: events of it may be lost, and are not passed over. */
  async #parkBefore(actorId: string, answered: string, loss: Error): Promise<void> {
    const { owner } = this.#parts;
    const reason = shortReason(loss);
    owner.state = reparked(owner.state, actorId, (it) => ({
      ...it,
      ...{ reason, answered },
      attempts: it.attempts + 1,
    }));
    await owner.save();
  }

  #parkAgain(event: EventFacts, answered: string, error: unknown): void {
    const { owner } = this.#parts;
    const { sequence, id: eventId, eventType, version, actorId } = event;
    const reason = shortReason(error);
    owner.state = reparked(owner.state, actorId, (it) => ({
      ...it,
      ...{ sequence, eventId, eventType, version, reason, answered },
      attempts: it.sequence === sequence ? it.attempts + 1 : 1,
    }));
  }
}

/** Why an event was not handled. */
interface Failed {
  readonly cause: unknown;
  /** Whether it could not be read. */
  readonly isUnreadable: boolean;
  /** The event as its handler left it. */
  readonly event: RecordedEvent | undefined;
}

/** Whether the event store is out of reach, and may come back. */
function isOutage(error: unknown): boolean {
  return isAetherError(error, "StoreUnavailableError") && !isClosed(error);
}

async function firstOf<T>(values: AsyncIterable<T>): Promise<T | undefined> {
  for await (const value of values) return value;
  return undefined;
}
