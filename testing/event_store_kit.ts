import { createEvent, type Event } from "../store/event.ts";
import type { Broadcaster, EventStore, EventStoreOptions } from "../store/store.ts";
import type { EventStored } from "../store/stored.ts";
import type { VersionConflictError } from "../store/errors.ts";
import { equal, rejects } from "./assert.ts";
import type { Stage } from "./stage.ts";

/** Registers one test. */
export type Test = (
  name: string,
  run: (stage: Stage<EventStore, EventStoreOptions>) => Promise<void>,
) => void;

/** An event of `order-1` at version 1, with what the test says of it. */
export function sample(init: Partial<Event> = {}): Event {
  const event = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: null, ...init };
  return { ...createEvent(event), ...init };
}

/** Events of one actor at `versions`, with the version as data. */
export function samples(actorId: string, versions: readonly number[]): Event[] {
  return versions.map((version) => sample({ actorId, version, data: version }));
}

/** From `first` to `last`, both included. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

/** The versions of an actor's history. */
export async function versionsOf(store: EventStore, actorId: string): Promise<number[]> {
  return (await store.getEvents(actorId)).map(({ version }) => version);
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

/** A broadcaster that keeps what it is given. */
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

/** Lets everything that is ready to run have its turn: timers, messages and microtasks. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
}
