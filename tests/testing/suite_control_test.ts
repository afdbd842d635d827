import { assertEquals } from "@std/assert";
import { isAetherError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import { InMemoryEventStore } from "../../store/memory/event_store.ts";
import type { SaveOptions, SaveReceipt } from "../../store/options.ts";
import { eventStoreSuite } from "../../testing/event_store/suite.ts";
import { control, type Create, testsOf } from "./suite_control.ts";

const HOSTILE = "a hostile actor id reaches its own events and no others";

Deno.test("the suite passes a sound store, and has no two tests of one name", async () => {
  const names: string[] = [];
  const register = (name: string) => void names.push(name);
  eventStoreSuite({
    test: register,
    skip: register,
    create: () => new InMemoryEventStore(),
    capabilities: { reopen: false, maxBytes: undefined },
  });
  assertEquals(names.length, new Set(names).size);
  for (const run of testsOf((options) => new InMemoryEventStore(options)).values()) await run();
});

/** Stores that take a conflict for something else, as `receipt` shows. */
function conflictsAs(receipt: SaveReceipt): Create {
  return (options) =>
    new class extends InMemoryEventStore {
      override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
        try {
          return await super.saveEvents(events, more);
        } catch (error) {
          if (!isAetherError(error, "VersionConflictError")) throw error;
          return receipt;
        }
      }
    }(options);
}

control("accepts a stale version", conflictsAs({ sequence: 1, duplicate: false }), [
  "saveEvent() refuses a version that is not newer",
  "exactly one of many writers at one version wins",
  "writers that read, decide and retry lose no update",
  "a batch stored in part is a conflict that names the first difference",
  "saves that exclude each other by expect are never both stored",
  "appendEvents() refuses any version but the actor's own",
]);

control("takes the id alone for a repetition", (options) =>
  new class extends InMemoryEventStore {
    override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      try {
        return await super.saveEvents(events, more);
      } catch (error) {
        const stored = await this.getEvents(events[0]!.actorId);
        const ids = new Set(stored.map(({ id }) => id));
        if (!events.every(({ id }) => ids.has(id))) throw error;
        return { sequence: 1, duplicate: true };
      }
    }
  }(options), [
  "the id of a stored event at its version with other content is a conflict",
  "with a codec a repeated save is known by id and type",
]);

control("compares all of an event", (options) =>
  new class extends InMemoryEventStore {
    override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      const receipt = await super.saveEvents(events, more);
      if (receipt.duplicate) {
        const stored = await this.getEvents(events[0]!.actorId);
        if (JSON.stringify(stored) !== JSON.stringify(events)) throw new Error("it differs");
      }
      return receipt;
    }
  }(options), ["a save is made again with another timestamp, metadata and order of keys"]);

control("takes an id again at another version", (options) =>
  new class extends InMemoryEventStore {
    override saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      const own = events.map((event) => ({ ...event, id: `${event.id}-${event.version}` }));
      return super.saveEvents(own, more);
    }
  }(options), [
  "an id that the actor's last message holds is refused at another version",
  "of saves at once whose events have one id, one stores",
]);

control("checks the version, then waits, then writes", (options) => {
  // Two saves can both pass the check, which a compare-and-set prevents.
  const store = new class extends InMemoryEventStore {
    readonly #written: Event[] = [];
    override async saveEvents(events: Event[]): Promise<SaveReceipt> {
      for (const { actorId, version } of events) {
        const latest = await this.getLatestVersion(actorId);
        if (version <= latest) return await super.saveEvents(events);
      }
      await Promise.resolve();
      this.#written.push(...events);
      return { sequence: this.#written.length, duplicate: false };
    }
    override getLatestVersion(actorId: string): Promise<number> {
      const own = this.#written.filter((event) => event.actorId === actorId);
      return Promise.resolve(Math.max(0, ...own.map(({ version }) => version)));
    }
    override getEvents<E extends Event>(actorId: string): Promise<E[]> {
      return Promise.resolve(this.#written.filter((it) => it.actorId === actorId) as E[]);
    }
  }(options);
  return store;
}, [
  "exactly one of many writers at one version wins",
  "writers that read, decide and retry lose no update",
]);

control("drops the last event of a read", (options) =>
  new class extends InMemoryEventStore {
    override async getEvents<E extends Event>(actorId: string, from?: number): Promise<E[]> {
      return (await super.getEvents<E>(actorId, from)).slice(0, -1);
    }
  }(options), [
  "saveEvent() stores events that getEvents() returns in order",
  "a save is seen by every read that begins after it",
  "a long history is read whole, and from any place",
  "getEvents() begins at fromVersion, in gaps and beyond the end too",
]);

control("takes fromVersion for an index", (options) =>
  new class extends InMemoryEventStore {
    override async getEvents<E extends Event>(actorId: string, from = 0): Promise<E[]> {
      return (await super.getEvents<E>(actorId)).slice(Math.max(0, from - 1));
    }
  }(options), ["getEvents() begins at fromVersion, in gaps and beyond the end too"]);

control(
  "copies events only after the call has returned",
  (options) =>
    new class extends InMemoryEventStore {
      override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
        await Promise.resolve();
        return await super.saveEvents(events, more);
      }
    }(options),
  ["changes to an event after the call do not reach the store"],
);

control(
  "hands out one and the same event twice",
  (options) =>
    new class extends InMemoryEventStore {
      #last: Event[] = [];
      override async getEvents<E extends Event>(actorId: string, from?: number): Promise<E[]> {
        const events = await super.getEvents<E>(actorId, from);
        if (this.#last.length !== events.length) this.#last = events;
        return this.#last as E[];
      }
    }(options),
  ["changes to a result reach neither the store nor other results"],
);

control(
  "saves the events of a batch one by one",
  (options) =>
    new class extends InMemoryEventStore {
      override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
        if (events.length < 2) return await super.saveEvents(events, more);
        const receipts: SaveReceipt[] = [];
        for (const event of events) receipts.push(await super.saveEvents([event]));
        return receipts.at(-1)!;
      }
    }(options),
  [
    "saveEvents() stores nothing if one event is in conflict",
    "saveEvents() stores nothing if one event is invalid",
    "a batch stored in part is a conflict that names the first difference",
  ],
);

control("takes no notice of expectations", (options) =>
  new class extends InMemoryEventStore {
    override saveEvents(events: Event[]): Promise<SaveReceipt> {
      return super.saveEvents(events);
    }
  }(options), [
  "expect holds a save to an actor's version exactly",
  "expect holds a save to the versions of actors that it does not write",
  "expect of version 0 means that an actor must not exist",
  "saves that exclude each other by expect are never both stored",
  "appendEvents() refuses any version but the actor's own",
]);

control("calls every repetition a conflict", (options) =>
  new class extends InMemoryEventStore {
    override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      const receipt = await super.saveEvents(events, more);
      if (!receipt.duplicate) return receipt;
      return await super.saveEvents(events.map((event) => ({ ...event, id: crypto.randomUUID() })));
    }
  }(options), [
  "saving an event again returns the stored position and duplicate",
  "saving a whole batch again is a duplicate, also after newer events",
  "of equal saves at the same time one stores, and the others are duplicates",
]);

control("calls a conflict a repetition", conflictsAs({ sequence: 2, duplicate: true }), [
  "another event at a stored version is a conflict",
  "a stored event at another version is a conflict",
  "exactly one of many writers at one version wins",
]);

control("lets JSON change the data", (options) =>
  new class extends InMemoryEventStore {
    override saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      const changed = events.map((event) => {
        try {
          return { ...event, data: JSON.parse(JSON.stringify(event.data)) };
        } catch {
          return event;
        }
      });
      return super.saveEvents(changed, more);
    }
  }(options), ["data that JSON would change is refused by InvalidEventError"]);

control("throws at once instead of rejecting", (options) =>
  new class extends InMemoryEventStore {
    override saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      if (events.length === 0) throw new RangeError("Cannot save events: there are none");
      return super.saveEvents(events, more);
    }
  }(options), ["an empty batch and one of over 1,000 messages are RangeErrors, and store nothing"]);

control("forgets that ids may be patterns", (options) =>
  new class extends InMemoryEventStore {
    readonly #actors = new Set<string>();
    override saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      for (const { actorId } of events) this.#actors.add(actorId);
      return super.saveEvents(events, more);
    }
    override async getEvents<E extends Event>(actorId: string, from?: number): Promise<E[]> {
      if (actorId !== "*" && actorId !== ">") return await super.getEvents<E>(actorId, from);
      const all = [...this.#actors].map((each) => super.getEvents<E>(each, from));
      return (await Promise.all(all)).flat();
    }
  }(options), [HOSTILE]);

control("trims ids", (options) =>
  new class extends InMemoryEventStore {
    override saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
      const trimmed = events.map((event) => ({ ...event, actorId: event.actorId.trim() }));
      return super.saveEvents(trimmed, more);
    }
  }(options), [HOSTILE]);

control(
  "has no limit of an event's size",
  (options) => new InMemoryEventStore({ ...options, maxBytes: 2 ** 30 }),
  [
    "an event that just fits is saved, one byte more is EventTooLargeError",
  ],
);

control(
  "keeps whatever it is given",
  ({ events: _, ...options }) => new InMemoryEventStore(options),
  [
    "what a schema makes of an event's data is saved",
    "what a schema refuses is refused with its place, and nothing is saved",
    "the events that a process keeps for itself need no definition",
    "a check of reads lets pass what is forgotten",
  ],
);
