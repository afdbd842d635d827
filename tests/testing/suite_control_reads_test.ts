import type { Event, RecordedEvent } from "../../store/event.ts";
import { InMemoryEventStore } from "../../store/memory/event_store.ts";
import type {
  ListActorsOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  SaveReceipt,
} from "../../store/options.ts";
import type { EventsWithErrors } from "../../store/store.ts";
import { mapped, redeployed } from "../support/redeployed.ts";
import { control, logging, reading, testsOf } from "./suite_control.ts";

const PARTS = "readEvents() yields the requested part of getEvents()";
const LONG = "readEvents() finds its way over gaps in a long history";
const ABORTED = "a signal ends a read by throwing its reason";
const WAITING = "a signal ends a read that waits";
const ORDER = "readAll() yields all events in the order they were saved, with positions";
const FILTERS = "readAll() filters by category, actor and types, alone and together";
const ACTORS = "listActors() yields every actor, or those of a category";
const AGES = "events of all ages are in the newest shape on every way to read";

reading(
  "reads forwards though it is told to read backwards",
  [PARTS, LONG],
  (sound, options) => sound({ ...options, direction: "forwards" }),
);

reading("takes one event more than its limit", [PARTS, LONG], (sound, options) => {
  const { limit } = options;
  return sound({ ...options, ...limit !== undefined && { limit: limit + 1 } });
});

reading("leaves toVersion itself out", [PARTS, LONG], (sound, options) => {
  const { toVersion } = options;
  return sound({ ...options, ...toVersion !== undefined && { toVersion: toVersion - 1 } });
});

reading(
  "takes the limit before it turns round",
  [PARTS, LONG],
  async function* (sound, { direction, ...options }) {
    const events = await Array.fromAsync(sound(options));
    yield* direction === "backwards" ? events.reverse() : events;
  },
);

reading(
  "ends a read after 512 events",
  [LONG, "events saved during a read do it no harm"],
  (sound, options) => mapped(sound(options), (event, at) => at < 512 ? event : undefined),
);

reading("loses an event at the seam of two pages", [LONG, ABORTED], (sound, options) => {
  return mapped(sound(options), (event, at) => at === 256 ? undefined : event);
});

reading("takes no notice of the signal", [ABORTED], (sound, { signal: _, ...options }) => {
  return sound(options);
});

reading("ends quietly on the signal", [ABORTED, WAITING], async function* (sound, options) {
  try {
    yield* sound(options);
  } catch (error) {
    if (!options.signal?.aborted) throw error;
  }
});

reading("looks at the signal between events only", [WAITING], async function* (sound, options) {
  const { signal, ...others } = options;
  signal?.throwIfAborted();
  for await (const event of sound(others)) {
    yield event;
    signal?.throwIfAborted();
  }
});

control(
  "throws at once what is wrong with a read",
  (options) =>
    new class extends InMemoryEventStore {
      override readEvents<E extends Event>(actorId: string, more: ReadOptions = {}) {
        if ((more.limit ?? 0) < 0) throw new RangeError("Cannot read: limit is negative");
        return super.readEvents<E>(actorId, more);
      }
    }(options),
  ["readEvents() with impossible options is a RangeError at its first step"],
);

control(
  "reads the options of a read at its first step",
  (options) =>
    new class extends InMemoryEventStore {
      override async *readAll(more?: ReadAllOptions): AsyncGenerator<RecordedEvent, void> {
        yield* super.readAll(more);
      }
    }(options),
  ["a read goes by the options of its call, whatever the caller makes of them"],
);

logging(
  "sorts the store by its actors",
  [ORDER],
  async function* (sound, options) {
    const events = await Array.fromAsync(sound(options));
    yield* events.sort((a, b) => a.actorId < b.actorId ? -1 : 1);
  },
);

logging(
  "counts positions without the gaps",
  [ORDER],
  (sound, options) => mapped(sound(options), (event, at) => ({ ...event, sequence: at + 1 })),
);

logging("begins behind the position that is asked for", [
  "readAll() begins at the requested position",
], (sound, options) => {
  const { from } = options;
  return sound({ ...options, ...typeof from === "number" && { from: from + 1 } });
});

for (const name of ["category", "actorId", "eventTypes"] as const) {
  logging(`filters by everything but ${name}`, [FILTERS], (sound, { filter, ...options }) => {
    const { [name]: _, ...others } = filter ?? {};
    return sound({ ...options, filter: others });
  });
}

logging(
  "takes a beginning for a category",
  [FILTERS],
  (sound, { filter: { category, ...others } = {}, ...options }) =>
    mapped(
      sound({ ...options, filter: others }),
      (event) => event.actorId.startsWith(category ?? "") ? event : undefined,
    ),
);

logging(
  "finds nothing in a category that no actor can have",
  ["a category that no actor can have is refused by all that take one, as a type is"],
  async function* (sound, options) {
    if (!/.-/.test(options.filter?.category ?? "")) yield* sound(options);
  },
);

logging(
  "reads on to the end as it is now",
  ["readAll() ends where the store ended when it began"],
  async function* (sound, options) {
    let from = options.from ?? "start";
    for (let found = true; found;) {
      found = false;
      for await (const event of sound({ ...options, from })) {
        found = true;
        from = event.sequence + 1;
        yield event;
      }
    }
  },
);

control(
  "forgets an actor whose id begins with a byte order mark",
  (options) =>
    new class extends InMemoryEventStore {
      override async *listActors(more?: ListActorsOptions): AsyncGenerator<string, void> {
        for await (const actorId of super.listActors(more)) {
          if (!actorId.startsWith("\ufeff")) yield actorId;
        }
      }
    }(options),
  [ACTORS],
);

control(
  "lists actors whose first save was refused",
  (options) =>
    new class extends InMemoryEventStore {
      readonly #refused = new Set<string>();
      override async saveEvents(events: Event[], more?: SaveOptions): Promise<SaveReceipt> {
        try {
          return await super.saveEvents(events, more);
        } catch (error) {
          for (const event of events) if (event?.actorId) this.#refused.add(event.actorId);
          throw error;
        }
      }
      override async *listActors(more?: ListActorsOptions): AsyncGenerator<string, void> {
        const listed = await Array.fromAsync(super.listActors(more));
        yield* new Set([...listed, ...this.#refused]);
      }
    }(options),
  [
    "impossible ids, types, versions and timestamps are refused",
    "saveEvents() stores nothing if one event is in conflict",
  ],
);

control(
  "loses metadata where it reads several actors",
  (options) =>
    new class extends InMemoryEventStore {
      override async getEventsOf<E extends Event>(
        ids: readonly string[],
      ): Promise<Map<string, E[]>> {
        const found = await super.getEventsOf<E>(ids);
        return new Map(
          [...found].map(([actorId, events]) => [
            actorId,
            events.map(({ metadata: _, ...event }) => event as unknown as E),
          ]),
        );
      }
    }(options),
  ["getLatestVersions() and getEventsOf() give each actor once, in order"],
);

control("lists the actors of all categories", (options) =>
  new class extends InMemoryEventStore {
    override listActors(): AsyncGenerator<string, void> {
      return super.listActors();
    }
  }(options), [ACTORS]);

control("answers from memory after disposal", (options) =>
  new class extends InMemoryEventStore {
    #disposed = false;
    override getLatestVersion(actorId: string): Promise<number> {
      return this.#disposed ? Promise.resolve(2) : super.getLatestVersion(actorId);
    }
    override async [Symbol.asyncDispose](): Promise<void> {
      this.#disposed = true;
      await super[Symbol.asyncDispose]();
    }
  }(options), ["a store that is disposed refuses everything by StoreUnavailableError"]);

control(
  "ends at the first event that it cannot read",
  (options) =>
    new class extends InMemoryEventStore {
      override async getEventsWithErrors<E extends Event>(
        actorId: string,
      ): Promise<EventsWithErrors<E>> {
        const { events, errors } = await super.getEventsWithErrors<E>(actorId);
        return errors.length > 0 ? { events: [], errors } : { events, errors };
      }
    }(options),
  ["data that a codec cannot decode is CorruptEventError, with its place"],
);

Deno.test("the suite passes a sound store that is deployed again", async () => {
  for (const run of upcastingOn(redeployed()).values()) await run();
});

/** The suite's tests of upcasting. */
function upcastingOn(create: Parameters<typeof testsOf>[0]): Map<string, () => Promise<void>> {
  const tests = testsOf(create, true);
  return new Map([...tests].filter(([name]) => name === AGES));
}

const STALE = { total: 1.5 };

control(
  "forgets its upcasters where it reads backwards",
  redeployed((options) =>
    new class extends InMemoryEventStore {
      override readEvents<E extends Event>(actorId: string, more: ReadOptions = {}) {
        const events = super.readEvents<E>(actorId, more);
        if (more.direction !== "backwards") return events;
        return mapped(events, (event) => ({ ...event, data: STALE }));
      }
    }(options)
  ),
  [AGES],
  true,
);

control(
  "forgets its upcasters where it reads everything",
  redeployed((options) =>
    new class extends InMemoryEventStore {
      override readAll(more?: ReadAllOptions) {
        return mapped(super.readAll(more), (event) => ({ ...event, data: STALE }));
      }
    }(options)
  ),
  [AGES],
  true,
);

control(
  "saves events without their schema",
  (options) => {
    const { upcasters, ...others } = options;
    const sound = new InMemoryEventStore(others);
    return new class extends InMemoryEventStore {
      override saveEvents(events: Event[]) {
        return sound.saveEvents(events);
      }
      override getEvents<E extends Event>(actorId: string): Promise<E[]> {
        return sound.getEvents<E>(actorId).then((events) =>
          events.map((event) => {
            let { data } = event;
            for (const step of upcasters?.[event.eventType] ?? []) data = step(data, event);
            return { ...event, data };
          })
        );
      }
    }(others);
  },
  ["an event is saved in the newest shape, without upcasting"],
);
