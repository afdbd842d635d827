import { assert } from "@std/assert";
import type { Event, RecordedEvent } from "../../store/event.ts";
import {
  InMemoryEventStore,
  type InMemoryEventStoreOptions,
} from "../../store/memory/event_store.ts";
import type { ReadAllOptions, ReadOptions, SaveOptions, SaveReceipt } from "../../store/options.ts";
import type { EventStore } from "../../store/store.ts";
import { eventStoreSuite } from "../../testing/event_store/suite.ts";
import { turns } from "../../testing/event_store/kit.ts";

/** Makes the stores of one control. */
export type Create = (options: InMemoryEventStoreOptions) => EventStore;

/** The suite's tests on stores of `create`, by name. */
export function testsOf(create: Create, reopen = false): Map<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>();
  eventStoreSuite({
    test: (name, run) => void tests.set(name, run),
    create,
    capabilities: { reopen, maxBytes: 1024 * 1024 - 2048 },
  });
  return tests;
}

/** A store with one promise broken must fail the tests of that promise, and fail by an Error. */
export function control(
  broken: string,
  create: Create,
  caughtBy: readonly string[],
  reopen = false,
): void {
  Deno.test(`the suite catches a store that ${broken}`, async () => {
    const tests = testsOf(create, reopen);
    for (const name of caughtBy) {
      const run = tests.get(name);
      assert(run !== undefined, `there is no test "${name}"`);
      const failure = await run().then(() => undefined, (error: unknown) => error);
      // The leftovers of a broken store end in this test.
      for (let time = 0; time < 3; time++) await turns();
      assert(failure instanceof Error, `"${name}" passes`);
    }
  });
}

/** Controls a store whose `readEvents()` is `read`, which may call the sound one. */
export function reading(
  broken: string,
  caughtBy: readonly string[],
  read: (
    sound: (options?: ReadOptions) => AsyncIterable<Event>,
    options: ReadOptions,
  ) => AsyncIterable<Event>,
): void {
  control(broken, (options) =>
    new class extends InMemoryEventStore {
      override readEvents<E extends Event>(actorId: string, more: ReadOptions = {}) {
        const sound = (own?: ReadOptions) => super.readEvents(actorId, own);
        return read(sound, more) as AsyncIterable<E>;
      }
    }(options), caughtBy);
}

/** Controls a store whose `readAll()` is `read`, which may call the sound one. */
export function logging(
  broken: string,
  caughtBy: readonly string[],
  read: (
    sound: (options?: ReadAllOptions) => AsyncGenerator<RecordedEvent, void>,
    options: ReadAllOptions,
  ) => AsyncGenerator<RecordedEvent, void>,
): void {
  control(broken, (options) =>
    new class extends InMemoryEventStore {
      override readAll(more: ReadAllOptions = {}) {
        return read((own) => super.readAll(own), more);
      }
    }(options), caughtBy);
}

/** Controls a store whose `saveEvents()` is `save`, which may call the sound one. */
export function saving(
  broken: string,
  caughtBy: readonly string[],
  save: (
    sound: (events: readonly Event[], options?: SaveOptions) => Promise<SaveReceipt>,
    events: readonly Event[],
    options?: SaveOptions,
  ) => Promise<SaveReceipt>,
): void {
  control(broken, (options) =>
    new class extends InMemoryEventStore {
      override saveEvents(events: readonly Event[], more?: SaveOptions) {
        return save((own, rest) => super.saveEvents(own, rest), events, more);
      }
    }(options), caughtBy);
}
