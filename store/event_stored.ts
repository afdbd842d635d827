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

/** Notifications that may wait for a slow broadcaster, or those of one save; more are refused. */
const MAX_WAITING = 1000;
/** Actors that may have one notification under way; more are refused. */
const MAX_UNDER_WAY = 10_000;
/** How long the end of a store waits for a broadcaster that gives no sign, in ms. */
const GRACE = 5_000;
/** Turns of the microtask queue without progress after which the broadcaster counts as slow. */
const PATIENCE = 16;

/** A notification on its way. */
interface Notification {
  readonly event: EventStored;
  /** The trace context to publish it in. */
  readonly within: Context;
  /** Called when it is over. */
  readonly settled: () => void;
}

/** The notifications of one actor. */
interface Line {
  /** Those behind the one that is under way. */
  readonly waiting: Set<Notification>;
  /** Resolves when none is left. */
  readonly over: Promise<void>;
}

/**
 * Publishes {@linkcode EventStored} events, one actor's in order: the next is published when
 * the broadcaster's promise for the one before has settled. Never fails, never holds up a save.
 */
export class StoredNotifier {
  readonly #namespace: string;
  readonly #broadcaster: Broadcaster | undefined;
  readonly #onError: (error: unknown, event: Event) => void;
  /** The line of each actor that has a notification under way. */
  readonly #lines = new Map<string, Line>();
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
    const own: Notification[] = [];
    let open = 0;
    const settled = () => void open--;
    for (const [at, event] of saved.entries()) {
      const notification = { event: storedEvent(event, positions[at]!), within, settled };
      if (!this.#begin(notification)) continue;
      open++;
      own.push(notification);
    }
    let before = this.#settled;
    for (let turn = PATIENCE; open > 0 && turn > 0; turn--) {
      await undefined;
      if (this.#settled === before) continue;
      before = this.#settled;
      turn = PATIENCE;
    }
    this.#refuseSurplus(own);
  }

  /** Resolves when nothing waits any more, or once the broadcaster has been silent for 5 s. */
  async settled(): Promise<void> {
    while (this.#lines.size > 0) {
      const before = this.#settled;
      const over = new AbortController();
      const lines = [...this.#lines.values()];
      const done = Promise.all(lines.map((line) => line.over)).finally(() => over.abort());
      await Promise.race([done, sleep(GRACE, over.signal)]);
      if (over.signal.aborted || this.#settled !== before) continue;
      over.abort();
      const left = this.#lines.size + this.#waiting;
      return console.warn(`${left} notifications were not published: the broadcaster is stuck`);
    }
  }

  /** Publishes at once if nothing of the actor is under way; false if it is over already. */
  #begin(notification: Notification): boolean {
    const { event } = notification;
    const line = this.#lines.get(event.actorId);
    if (line !== undefined) {
      line.waiting.add(notification);
      this.#waiting++;
      return true;
    }
    if (this.#lines.size >= MAX_UNDER_WAY) {
      this.#refuse(event);
      return false;
    }
    const published = this.#publish(notification);
    if (published === undefined) return false;
    const waiting = new Set<Notification>();
    const over = this.#follow(notification, published, waiting);
    this.#lines.set(event.actorId, { waiting, over });
    return true;
  }

  /** Publishes what waits behind the first notification of a line, one after the other. */
  async #follow(
    first: Notification,
    published: Promise<void>,
    waiting: Set<Notification>,
  ): Promise<void> {
    await published;
    this.#end(first);
    for (const next of waiting) {
      waiting.delete(next);
      this.#waiting--;
      await this.#publish(next);
      this.#end(next);
    }
    this.#lines.delete(first.event.actorId);
  }

  #end({ settled }: Notification): void {
    this.#settled++;
    settled();
  }

  /** The broadcaster was slow: refuses the last of a save's notifications that may not wait. */
  #refuseSurplus(own: readonly Notification[]): void {
    const surplus = this.#waiting - Math.max(MAX_WAITING, own.length);
    if (surplus <= 0) return;
    const lineOf = ({ event }: Notification) => this.#lines.get(event.actorId)?.waiting;
    const refused = own.filter((it) => lineOf(it)?.has(it)).slice(-surplus);
    for (const notification of refused) lineOf(notification)?.delete(notification);
    this.#waiting -= refused.length;
    for (const { event } of refused) this.#refuse(event);
  }

  #refuse(event: EventStored): void {
    const behind = this.#lines.size + this.#waiting;
    this.#report(
      new Error(
        `Cannot publish ${EVENT_STORED} of version ${event.version} of "${event.actorId}": ` +
          `the broadcaster is behind by ${behind} notifications`,
      ),
      event,
    );
  }

  #publish({ event, within }: Notification): Promise<void> | undefined {
    try {
      const published = context.with(
        within,
        () => this.#broadcaster!.publish(this.#namespace, event),
      );
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
