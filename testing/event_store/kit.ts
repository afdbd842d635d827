import type { Codec } from "../../store/codec.ts";
import type { VersionConflictError } from "../../store/errors.ts";
import { createEvent, type Event, type RecordedEvent } from "../../store/event.ts";
import type { EventStored } from "../../store/event_stored.ts";
import type { Broadcaster, EventStore, EventStoreOptions } from "../../store/store.ts";
import { equal, rejects } from "../assert.ts";
import type { Stage } from "../stage.ts";

/** Registers one test. */
export type StoreTest = (
  name: string,
  run: (stage: Stage<EventStore, EventStoreOptions>) => Promise<void>,
) => void;

/** An event of `order-1` at version 1, with the test's own fields. */
export function sample(init: Partial<Event> = {}): Event {
  const event = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: null, ...init };
  return { ...createEvent(event), ...init };
}

/** Events of one actor at `versions`, with the version as data and in their metadata. */
export function samples(actorId: string, versions: readonly number[]): Event[] {
  return versions.map((version) =>
    sample({ actorId, version, data: version, metadata: { userId: `user-${version}` } })
  );
}

/** From `first` to `last`, both included. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

/** A store that has asked for other writers' saves reads them from then on. */
export async function learns(store: EventStore, actorId: string, version: number): Promise<void> {
  equal(await store.getLatestVersion(actorId, { fresh: true }), version, `version of ${actorId}`);
}

/** The versions of an actor's history. */
export async function versionsOf(store: EventStore, actorId: string): Promise<number[]> {
  return (await store.getEvents(actorId)).map(({ version }) => version);
}

/** The bytes of data that an event of `maxBytes` has room for, beside all else in it. */
export function roomFor(maxBytes: number): number {
  return maxBytes - 1_024;
}

/** All that `iterable` yields. */
export async function gather<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

/** The first that `iterable` yields. */
export async function nextOf<T>(iterable: AsyncIterable<T>): Promise<T> {
  for await (const item of iterable) return item;
  throw new Error("Expected that there is something to read");
}

/** Positions at the edges of all events: theirs, those beside them, and the first of all. */
export function placesAround(events: readonly RecordedEvent[]): number[] {
  const around = events.flatMap(({ sequence }) => [sequence - 1, sequence, sequence + 1]);
  return [...new Set([0, 1, ...around])].sort((one, two) => one - two);
}

/** A recorded event without what says which it was saved with. */
export function withoutCommit({ commit: _, ...event }: RecordedEvent): Omit<
  RecordedEvent,
  "commit"
> {
  return event;
}

/** One way to read the events of an actor. */
export type ReadPath = (store: EventStore, signal?: AbortSignal) => AsyncIterable<Event>;

/** All ways to iterate the events of `actorId`. */
export function readPaths(actorId: string): Record<string, ReadPath> {
  const filter = { actorId };
  return {
    "readEvents() forwards": (store, signal) =>
      store.readEvents(actorId, { ...signal && { signal } }),
    "readEvents() backwards": (store, signal) =>
      store.readEvents(actorId, { direction: "backwards", ...signal && { signal } }),
    "readAll()": (store, signal) => store.readAll({ ...signal && { signal } }),
    "readAll() of the actor": (store, signal) => store.readAll({ filter, ...signal && { signal } }),
  };
}

/** All ways to read the events of `actorId`, in ascending order. */
export async function readEveryWay(
  store: EventStore,
  actorId: string,
): Promise<[path: string, events: Event[]][]> {
  const seen: [string, Event[]][] = [
    ["getEvents()", await store.getEvents(actorId)],
    ["getEventsWithErrors()", [...(await store.getEventsWithErrors(actorId)).events]],
  ];
  for (const [path, read] of Object.entries(readPaths(actorId))) {
    const events = (await gather(read(store))).filter((event) => event.actorId === actorId);
    if (path.endsWith("backwards")) events.reverse();
    seen.push([path, events]);
  }
  return seen;
}

/** Passes if the histories are just these events, by id, and the latest versions fit. */
export async function holds(store: EventStore, expected: readonly Event[]): Promise<void> {
  for (const actorId of new Set(expected.map((event) => event.actorId))) {
    const own = expected.filter((event) => event.actorId === actorId);
    const name = JSON.stringify(actorId);
    equal(await store.getEvents(actorId), own, `events of ${name}`);
    const latest = await store.getLatestVersion(actorId, { fresh: true });
    equal(latest, own.at(-1)!.version, `latest version of ${name}`);
  }
}

/** Passes if `action` rejects with a conflict of these facts. */
export async function conflicts(
  action: () => Promise<unknown>,
  actorId: string,
  attemptedVersion: number,
  currentVersion: number,
): Promise<void> {
  const error = await rejects<VersionConflictError>(action, "VersionConflictError");
  equal(
    [error.actorId, error.attemptedVersion, error.currentVersion],
    [actorId, attemptedVersion, currentVersion],
    "actor, attempted and current version",
  );
}

/** A broadcaster that keeps its notifications. */
export class Recorder implements Broadcaster {
  /** The events, in order. */
  readonly events: EventStored[] = [];
  /** The namespaces that they came with. */
  readonly namespaces: string[] = [];

  publish(namespace: string, event: Event): Promise<void> {
    this.namespaces.push(namespace);
    this.events.push(event as EventStored);
    return Promise.resolve();
  }

  /** Actor and version of each. */
  get places(): [string, number][] {
    return this.events.map(({ actorId, version }) => [actorId, version]);
  }
}

/** JSON, by a codec of one's own. */
export class JsonCodec implements Codec<Event> {
  encode(event: Event): Uint8Array | Promise<Uint8Array> {
    return new TextEncoder().encode(JSON.stringify(event));
  }

  decode(bytes: Uint8Array): Event | Promise<Event> {
    return JSON.parse(new TextDecoder().decode(bytes));
  }
}

/** A codec that takes its time: without end, while it is held. */
export class HeldCodec extends JsonCodec {
  #gate: Promise<void> | undefined;
  #release = (): void => {};
  #reached = (): void => {};

  /** Holds calls from now on; resolves when one has come. */
  hold(): Promise<void> {
    this.#gate = new Promise((resolve) => this.#release = resolve);
    return new Promise((resolve) => this.#reached = resolve);
  }

  /** Lets go. */
  release(): void {
    this.#release();
    this.#gate = undefined;
  }

  override async encode(event: Event): Promise<Uint8Array> {
    const bytes = super.encode(event);
    this.#reached();
    await this.#gate;
    return bytes;
  }

  override async decode(bytes: Uint8Array): Promise<Event> {
    const event = super.decode(bytes);
    this.#reached();
    await this.#gate;
    return event;
  }
}

/** Lets everything that is ready to run have its turn: timers, messages and microtasks. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
}
