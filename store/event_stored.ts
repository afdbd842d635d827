import { callHook, isThenable, print } from "./base/hook.ts";
import { type Context, context } from "@opentelemetry/api";
import { sleep } from "./base/sleep.ts";
import { causedBy, createEvent, type Event, type EventMetadata } from "./event.ts";
import type { Broadcaster, EventStoreOptions } from "./store.ts";

/** The facts of a saved event that a notification carries; `timestamp` as ISO 8601. */
export interface SavedEvent extends Pick<Event, "id" | "eventType" | "actorId" | "version"> {
  /** When it happened. */
  readonly timestamp: string;
  /** Its metadata. */
  readonly metadata: EventMetadata | undefined;
}

/** The type of the event that a store publishes after each event that it saved. */
export const EVENT_STORED = "EventStored";

/** The `data` of {@linkcode EventStored}: which event was saved. */
export interface EventStoredData {
  /** The saved event's id. */
  readonly eventId: string;
  /** The saved event's type. */
  readonly eventType: string;
  /** The saved event's actor. */
  readonly actorId: string;
  /** The saved event's version. */
  readonly version: number;
  /** The saved event's position in the store, which `reached()` of a projection takes. */
  readonly sequence: number;
  /** The saved event's time, ISO 8601. */
  readonly timestamp: string;
}

/**
 * Reports that an event was saved. It has the `actorId`, the `version` and the correlation of the
 * saved event; its `causationId` is the saved event's id.
 * A notification, at most once: a crash between save and publish loses it.
 */
export type EventStored = Event<typeof EVENT_STORED, EventStoredData>;

/** Notifications that may wait for a slow broadcaster; more are refused. */
const MAX_WAITING = 1000;
/** Actors that may have one notification under way; more are refused. */
const MAX_UNDER_WAY = 10_000;
/** How long the end of a store waits for a broadcaster that gives no sign, in ms. */
const GRACE = 5_000;
/** Turns of the microtask queue without progress after which the broadcaster counts as slow. */
const PATIENCE = 16;

/**
 * Publishes {@linkcode EventStored} events, one actor's in order: the next is published when
 * the broadcaster's promise for the one before has settled. Never fails, never holds up a save.
 */
export class StoredNotifier {
  readonly #namespace: string;
  readonly #broadcaster: Broadcaster | undefined;
  readonly #onError: (error: unknown, event: Event) => void;
  /** The last notification of each actor that has one under way. */
  readonly #tails = new Map<string, Promise<void>>();
  #waiting = 0;
  /** Notifications that are over, counted to see that the broadcaster keeps going. */
  #settled = 0;

  /** Takes the options of the store. */
  constructor(namespace: string, options: EventStoreOptions) {
    this.#namespace = namespace;
    this.#broadcaster = options.broadcaster;
    this.#onError = options.onBroadcastError ?? warnOfUnpublished;
  }

  /** Whether there is no broadcaster. */
  get silent(): boolean {
    return this.#broadcaster === undefined;
  }

  /**
   * Publishes one notification for each saved event. Resolves when all are published or the
   * broadcaster turns out to be slow, whichever comes first; never rejects.
   *
   * @param positions Where the events are, one for each.
   * @param within The trace context to publish in, if the caller's is not the save's.
   */
  async notify(
    saved: readonly SavedEvent[],
    positions: readonly number[],
    within: Context = context.active(),
  ): Promise<void> {
    if (this.#broadcaster === undefined) return;
    let open = 0;
    for (const [at, event] of saved.entries()) {
      const stored = storedEvent(event, positions[at]!);
      const done = context.with(within, () => this.#publishInOrder(stored));
      if (done === undefined) continue;
      open++;
      done.then(() => open--);
    }
    let before = this.#settled;
    for (let turn = PATIENCE; open > 0 && turn > 0; turn--) {
      await undefined;
      if (this.#settled === before) continue;
      before = this.#settled;
      turn = PATIENCE;
    }
  }

  /** Resolves when nothing waits any more, or once the broadcaster has been silent for 5 s. */
  async settled(): Promise<void> {
    while (this.#tails.size > 0) {
      const before = this.#settled;
      const over = new AbortController();
      const done = Promise.all(this.#tails.values()).finally(() => over.abort());
      await Promise.race([done, sleep(GRACE, over.signal)]);
      if (over.signal.aborted || this.#settled !== before) continue;
      over.abort();
      const left = this.#tails.size + this.#waiting;
      return console.warn(`${left} notifications were not published: the broadcaster is stuck`);
    }
  }

  /** Publishes at once if nothing of the actor is under way; returns the promise still to await. */
  #publishInOrder(event: EventStored): Promise<void> | undefined {
    const before = this.#tails.get(event.actorId);
    const isFull = before === undefined
      ? this.#tails.size >= MAX_UNDER_WAY
      : this.#waiting >= MAX_WAITING;
    if (isFull) {
      this.#report(
        new Error(
          `Cannot publish ${EVENT_STORED} of version ${event.version} of "${event.actorId}": ` +
            `the broadcaster is behind by ${this.#tails.size + this.#waiting} notifications`,
        ),
        event,
      );
      return undefined;
    }
    if (before !== undefined) this.#waiting++;
    const done = before === undefined ? this.#publish(event) : before.then(() => {
      this.#waiting--;
      return this.#publish(event);
    });
    if (done === undefined) return undefined;
    this.#tails.set(event.actorId, done);
    return done.then(() => {
      this.#settled++;
      if (this.#tails.get(event.actorId) === done) this.#tails.delete(event.actorId);
    });
  }

  #publish(event: EventStored): Promise<void> | undefined {
    try {
      const published = this.#broadcaster!.publish(this.#namespace, event);
      if (!isThenable(published)) return undefined;
      return Promise.resolve(published).catch((error) => this.#report(error, event));
    } catch (error) {
      this.#report(error, event);
      return undefined;
    }
  }

  /** A hook that throws must not fail a save that is done. */
  #report(error: unknown, event: Event): void {
    callHook("onBroadcastError", () => this.#onError(error, event));
  }
}

function storedEvent(saved: SavedEvent, sequence: number): EventStored {
  const { id, eventType, actorId, version, timestamp, metadata } = saved;
  const stored = createEvent<EventStored>({
    eventType: EVENT_STORED,
    actorId,
    version,
    data: { eventId: id, eventType, actorId, version, sequence, timestamp },
  });
  return causedBy(stored, { ...stored, id, metadata: metadata ?? {} });
}

function warnOfUnpublished(error: unknown, event: Event): void {
  print("warn", `${event.eventType} of "${event.actorId}" was not published:`, error);
}
