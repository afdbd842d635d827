/**
 * What the scenarios of user code share: events, and how they are looked for.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { createEvent, type Event, type EventStore, type EventStoreOptions } from "../../mod.ts";
import type { Act } from "../support/acts.ts";

/** Opens stores, each with events of its own. */
export interface Bed {
  readonly stack: AsyncDisposableStack;
  open(options?: EventStoreOptions): Promise<EventStore>;
}

/** Shows that what a function does stays with it. */
export type Scenario = (bed: Bed, act: Act) => Promise<void>;

/** Scenarios by the name of the function in the public types; text says where there are some. */
export type Hooks = Readonly<Record<string, Scenario | string>>;

export const DATA = { n: 1, list: [{ a: 1 }] };

export function fact(version = 1, eventType = "T", actorId = "a-1"): Event {
  return createEvent({ eventType, actorId, version, data: structuredClone(DATA) });
}

export async function assertStored(
  store: EventStore,
  versions: number[],
  actorId = "a-1",
): Promise<void> {
  const events = await store.getEvents(actorId);
  assertEquals(events.map(({ version }) => version), versions);
  for (const { data } of events) assertEquals(data, DATA);
}

/** The error of a call that has to fail, or to succeed as `mayPass` says. */
export async function failureOf(
  work: Promise<unknown>,
  mayPass = false,
): Promise<{ readonly error: unknown } | undefined> {
  try {
    await work;
  } catch (error) {
    return { error };
  }
  assert(mayPass, "It has to fail");
  return undefined;
}

/** A hook that fails with a value that has no text. */
export const failing = (): never => {
  throw Object.create(null);
};
