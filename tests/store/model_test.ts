import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createEvent, type Event } from "../../store/event.ts";
import { JetStreamEventStore } from "../../store/jetstream/event_store.ts";
import { InMemoryEventStore } from "../../store/memory/event_store.ts";
import type { ExpectedVersion } from "../../store/options.ts";
import type { EventStore, EventStoreOptions } from "../../store/store.ts";
import { natsTest, uniqueNamespace } from "../support/fixture.ts";

const ACTORS = ["a-1", "a-2", "b.*"];

/** One save of a run: what, and by which of the stores. */
interface Step {
  readonly events: readonly Pick<Event, "id" | "actorId" | "version">[];
  readonly expect: readonly ExpectedVersion[];
  readonly store: number;
}

/** The part of the contract about saves: the stored events, and the outcome of a save. */
class Model {
  readonly stored: Pick<Event, "id" | "actorId" | "version">[] = [];

  latest(actorId: string): number {
    return Math.max(0, ...this.of(actorId));
  }

  of(actorId: string): number[] {
    return this.stored.filter((event) => event.actorId === actorId).map(({ version }) => version);
  }

  save({ events, expect }: Step): string {
    const isOrdered = events.every(({ id, actorId, version }, at) =>
      events.slice(0, at).every((it) =>
        it.id !== id && (it.actorId !== actorId || it.version < version)
      )
    );
    if (!isOrdered) return "InvalidEventError";
    if (events.every(({ actorId, version }) => version > this.latest(actorId))) {
      const isMet = expect.every(({ actorId, version }) => version === this.latest(actorId));
      if (isMet) this.stored.push(...events);
      return isMet ? "saved" : "VersionConflictError";
    }
    const isKnown = events.every(({ id, actorId, version }) =>
      this.stored.some((it) => it.id === id && it.actorId === actorId && it.version === version)
    );
    return isKnown ? "duplicate" : "VersionConflictError";
  }
}

const actorId = fc.constantFrom(...ACTORS);
/** Few ids and versions, so that saves meet what is stored. */
const event = fc.record({
  number: fc.integer({ min: 1, max: 2 }),
  actorId,
  version: fc.integer({ min: 1, max: 9 }),
}, { noNullPrototype: true })
  // The store refuses an id that it has just stored at another version.
  .map(({ number, actorId, version }) => ({ id: `event-${number}-${version}`, actorId, version }));
const step: fc.Arbitrary<Step> = fc.record({
  events: fc.array(event, { minLength: 1, maxLength: 4 }),
  expect: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.uniqueArray(
        fc.record({ actorId, version: fc.integer({ min: 0, max: 9 }) }),
        { minLength: 1, maxLength: 3, selector: (it) => it.actorId },
      ),
    },
  ),
  store: fc.nat({ max: 1 }),
});
/** Steps of which some are repeated later. */
const steps = fc.array(fc.oneof(step, fc.nat({ max: 30 })), { minLength: 1, maxLength: 25 })
  .map((all) => {
    const done: Step[] = [];
    for (const each of all) {
      const next = typeof each === "number" ? done[each % Math.max(1, done.length)] : each;
      if (next !== undefined) done.push(next);
    }
    return done;
  });

/** Does the steps on `stores`, which share their events, and compares with the model. */
async function follow(
  steps: readonly Step[],
  open: (options: EventStoreOptions) => Promise<EventStore>[],
): Promise<void> {
  const published: [string, number][] = [];
  const broadcaster = {
    publish: (_: string, event: Event) => void published.push([event.actorId, event.version]),
  };
  const stores = await Promise.all(open({ broadcaster }));
  try {
    const model = new Model();
    let last = 0;
    for (const step of steps) {
      const store = stores[step.store % stores.length]!;
      const events = step.events.map((each) => ({
        ...createEvent({ ...each, eventType: "Done", data: each }),
        ...each,
      }));
      const outcome = await store.saveEvents(events, { expect: step.expect }).then(
        ({ sequence, duplicate }) => {
          if (!duplicate && sequence <= last) return `sequence ${sequence} after ${last}`;
          last = Math.max(last, sequence);
          return duplicate ? "duplicate" : "saved";
        },
        (error: Error) => error.name,
      );
      assertEquals(outcome, model.save(step));
    }
    for (const store of stores) {
      for (const actorId of ACTORS) {
        for (const from of [0, 3, 6, 10]) {
          const versions = (await store.getEvents(actorId, from)).map(({ version }) => version);
          assertEquals(versions, model.of(actorId).filter((version) => version >= from));
        }
        const latest = await store.getLatestVersion(actorId, { fresh: true });
        assertEquals(latest, model.latest(actorId));
      }
      const data = (await store.getEvents(ACTORS[0]!)).map((event) => event.data);
      assertEquals(data, model.stored.filter((event) => event.actorId === ACTORS[0]));
    }
    assertEquals(published, model.stored.map(({ actorId, version }) => [actorId, version]));
  } finally {
    for (const store of stores) await store[Symbol.asyncDispose]();
  }
}

Deno.test("any saves on memory agree with the model", async () => {
  const property = fc.asyncProperty(
    steps,
    (steps) => follow(steps, (options) => [Promise.resolve(new InMemoryEventStore(options))]),
  );
  await fc.assert(property, { numRuns: 500 });
});

natsTest("any saves of two JetStream stores agree with the model", async (scene) => {
  const connections = [await scene.connect(), await scene.connect()];
  const property = fc.asyncProperty(steps, (steps) =>
    follow(steps, (options) => {
      const own = { ...options, namespace: uniqueNamespace() };
      return connections.map((connection) => JetStreamEventStore.open(connection, own));
    }));
  await fc.assert(property, { numRuns: 40 });
});
