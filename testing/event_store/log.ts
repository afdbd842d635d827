import type { Event, RecordedEvent } from "../../store/event.ts";
import type { EventFilter, ReadAllOptions } from "../../store/options.ts";
import type { EventStore } from "../../store/store.ts";
import { equal, rejects, within } from "../assert.ts";
import {
  gather,
  HeldCodec,
  nextOf,
  placesAround,
  range,
  readPaths,
  sample,
  samples,
  type StoreTest,
  turns,
} from "./kit.ts";
import { HOSTILE, IMPOSSIBLE, NEIGHBOURS, WRONG_NUMBERS } from "../values.ts";

/** `readAll()`: the whole store in its one order. */
export function logs(test: StoreTest, together: StoreTest): void {
  test("readAll() yields all events in the order they were saved, with positions", async ({ open }) => {
    const store = await open();
    equal(await gather(store.readAll()), [], "events of an empty store");
    const { events, receipts } = await fill(store);
    const all = await gather(store.readAll());
    equal(all.map(withoutSequence), events, "events");
    const positions = all.map(({ sequence }) => sequence);
    equal(positions, [...new Set(positions)].sort((a, b) => a - b), "positions, growing");
    const last = receipts.map(({ id }) => all.find((event) => event.id === id)!.sequence);
    equal(last, receipts.map(({ sequence }) => sequence), "positions of the receipts");
  });

  test("readAll() begins at the requested position", async ({ open }) => {
    const store = await open();
    await fill(store);
    const all = await gather(store.readAll());
    for (const from of placesAround(all)) {
      const wanted = all.filter(({ sequence }) => sequence >= from);
      equal(await gather(store.readAll({ from })), wanted, `events from ${from}`);
    }
    equal(await gather(store.readAll({ from: "start" })), all, "events from the start");
    equal(await gather(store.readAll({ from: Number.MAX_SAFE_INTEGER })), [], "events beyond");
  });

  test("readAll() filters by category, actor and types, alone and together", async ({ open }) => {
    const store = await open();
    await fill(store);
    const all = await gather(store.readAll());
    const middle = all[40]!.sequence;
    const categories = [undefined, "order", "bill", "nobody", "-x", "orde"];
    const actors = [undefined, "order-1", "bill-1", "order", "-x", "nobody-1"];
    const types = [undefined, [], ["Placed"], ["Placed", "Paid"], ["Paid", "None"], ["placed"]];
    for (const category of categories) {
      await Promise.all(
        actors.flatMap((actorId) =>
          types.flatMap((eventTypes) =>
            ["start" as const, middle].map(async (from) => {
              const filter = {
                ...category !== undefined && { category },
                ...actorId !== undefined && { actorId },
                ...eventTypes !== undefined && { eventTypes },
              };
              const wanted = all.filter((event) =>
                passes(filter, event) && (from === "start" || event.sequence >= from)
              );
              const seen = await gather(store.readAll({ from, filter }));
              equal(seen, wanted, `events from ${from} by ${JSON.stringify(filter)}`);
            })
          )
        ),
      );
    }
  });

  test("readAll() ends where the store ended when it began", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 700)));
    let latest = 700;
    for (const filter of [{}, { category: "order" }, { actorId: "order-1" }]) {
      const before = latest;
      const seen: number[] = [];
      for await (const { actorId, version } of store.readAll({ filter })) {
        equal(actorId, "order-1", "actor");
        seen.push(version);
        if (seen.length % 100 !== 1) continue;
        await store.saveEvents([
          ...samples("order-1", [++latest]),
          ...samples(`new-${latest}`, [1]),
        ]);
      }
      equal(seen, range(1, before), `versions by ${JSON.stringify(filter)}`);
    }
  });

  test("a read goes by the options of its call, whatever the caller makes of them", async ({ open }) => {
    const store = await open();
    await store.saveEvents([...samples("order-1", [1, 2]), ...samples("stock-1", [1])]);
    const filter = { category: "order", eventTypes: [sample().eventType] };
    const [log, history] = [{ filter }, { toVersion: 1 }];
    const reads = [
      store.readAll(log),
      store.readAll({ filter }),
      store.readEvents("order-1", history),
    ];
    filter.category = "stock";
    filter.eventTypes[0] = "None";
    log.filter = { ...filter };
    history.toVersion = 2;
    const seen = [];
    for (const read of reads) seen.push((await gather<Event>(read)).map(({ actorId }) => actorId));
    equal(seen, [["order-1", "order-1"], ["order-1", "order-1"], ["order-1"]], "actors");
  });

  test("readAll() with impossible options is a RangeError at its first step", async ({ open }) => {
    const store = await open();
    const wrong: unknown[] = [
      ...WRONG_NUMBERS.map((from) => ({ from })),
      { from: "now" },
      ...IMPOSSIBLE.flatMap((id) => [{ filter: { actorId: id } }, { filter: { category: id } }]),
    ];
    for (const options of wrong) {
      const read = store.readAll(options as ReadAllOptions);
      await rejects(() => nextOf(read), "RangeError", "readAll()");
    }
    const actors = store.listActors({ category: "" });
    await rejects(() => nextOf(actors), "RangeError", "listActors()");
  });

  test("a category that no actor can have is refused by all that take one, as a type is", async ({ open }) => {
    const store = await open();
    await store.saveEvent(sample({ actorId: "shopping-cart-1" }));
    for (const category of ["shopping-cart", "shopping-", "a--b", "a-b-c"]) {
      const filter = { category };
      await rejects(() => nextOf(store.readAll({ filter })), "RangeError", "readAll()");
      await rejects(() => nextOf(store.listActors(filter)), "RangeError", "listActors()");
      const subscription = store.subscribe({ filter });
      await rejects(() => nextOf(subscription), "RangeError", "subscribe()");
      await rejects(() => subscription.caughtUp, "RangeError", "caughtUp");
    }
    for (const eventTypes of [[""], ["Tested", "\ud800"]]) {
      const filter = { eventTypes };
      await rejects(() => nextOf(store.readAll({ filter })), "RangeError", "readAll()");
      await rejects(() => nextOf(store.subscribe({ filter })), "RangeError", "subscribe()");
    }
    for (const [category, actorId] of [["shopping", "shopping-cart-1"], ["-x-y", "-x-y"]]) {
      await store.saveEvents([sample({ actorId: actorId!, version: 9 })]);
      const found = await gather(store.listActors({ category: category! }));
      equal(found, [actorId], `actors of "${category}"`);
    }
  });

  test("listActors() yields every actor, or those of a category", async ({ open }) => {
    const store = await open();
    equal(await gather(store.listActors()), [], "actors of an empty store");
    const actors = [...new Set([...NEIGHBOURS, ...HOSTILE, "-x", "-x-y", "x-y-z", "x-", "xx"])];
    for (let at = 0; at < actors.length; at += 20) {
      await store.saveEvents(
        actors.slice(at, at + 20).flatMap((actorId) => samples(actorId, [1, 2])),
      );
    }
    const known = await gather(store.listActors());
    equal(actors.filter((each) => !known.includes(each)), [], "actors that are missing");
    equal(known.length, actors.length, "number of actors");
    const read = await gather(store.readAll());
    equal(read.map(({ actorId }) => actorId), actors.flatMap((each) => [each, each]), "events");
    const categories = [...new Set([...actors.map(categoryOf), "nobody"])];
    await Promise.all(categories.map(async (category) => {
      const wanted = actors.filter((actorId) => categoryOf(actorId) === category).sort();
      const seen = (await gather(store.listActors({ category }))).sort();
      equal(seen, wanted, `actors of ${JSON.stringify(category)}`);
    }));
    for await (const _ of store.listActors()) break;
  });

  together("readAll() and listActors() see at once what another store saved", async ({ open }) => {
    const [first, second] = [await open(), await open()];
    for (const at of range(1, 20)) {
      await first.saveEvent(sample({ actorId: `order-${at}` }));
      const actors = range(1, at).map((each) => `order-${each}`);
      const seen = await gather(second.readAll());
      equal(seen.map(({ actorId }) => actorId), actors, "actors of the events");
      equal((await gather(second.listActors())).sort(), actors.toSorted(), "actors");
    }
  });
}

/** Further promises about readable histories and closed stores. */
export function ends(test: StoreTest): void {
  test("getEventsWithErrors() of a sound history has no errors", async ({ open }) => {
    const store = await open();
    const events = samples("order-1", [...range(1, 600), 1000]);
    await store.saveEvents(events);
    await store.saveEvents(samples("order-2", [1]));
    equal(await store.getEventsWithErrors("order-1"), { events, errors: [] }, "what is read");
    equal(await store.getEventsWithErrors("nobody"), { events: [], errors: [] }, "what is read");
    await rejects(() => store.getEventsWithErrors(""), "RangeError");
  });

  test("a store that is disposed refuses everything by StoreUnavailableError", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [1, 2]));
    await store[Symbol.asyncDispose]();
    const calls: Record<string, () => Promise<unknown>> = {
      "saveEvent()": () => store.saveEvent(sample({ version: 3 })),
      "saveEvent() of a duplicate": () => store.saveEvent(sample()),
      "saveEvents()": () => store.saveEvents(samples("order-2", [1, 2])),
      "getEvents()": () => store.getEvents("order-1"),
      "getEvents() of nobody": () => store.getEvents("nobody", 3),
      "getEventsWithErrors()": () => store.getEventsWithErrors("order-1"),
      "getLatestVersion()": () => store.getLatestVersion("order-1"),
      "getLatestVersion() with fresh": () => store.getLatestVersion("order-1", { fresh: true }),
      "getLatestVersions()": () => store.getLatestVersions(["order-1"]),
      "getLatestVersions() with fresh": () => store.getLatestVersions(["order-1"], { fresh: true }),
      "getEventsOf()": () => store.getEventsOf(["order-1", "nobody"]),
      "readEvents() of nothing": () => nextOf(store.readEvents("order-1", { limit: 0 })),
      "listActors()": () => nextOf(store.listActors()),
    };
    for (const [path, read] of Object.entries(readPaths("order-1"))) {
      calls[path] = () => nextOf(read(store));
    }
    for (const [what, call] of Object.entries(calls)) {
      await rejects(call, "StoreUnavailableError", what);
    }
  });

  test("a save whose signal was aborted before it began stores nothing", async ({ open }) => {
    const store = await open();
    await store.saveEvents([...samples("order-1", [1]), ...samples("order-2", [1])]);
    const reason = new Error("too late");
    const options = { signal: AbortSignal.abort(reason) };
    for (const actorId of ["order-1", "order-3"]) {
      const batch = [...samples(actorId, [2, 3]), ...samples("order-2", [2])];
      for (const events of [samples(actorId, [2]), batch]) {
        const save = () => store.saveEvents(events, options);
        const error = await rejects(save, "StoreUnavailableError");
        equal(error.cause, reason, "cause");
      }
    }
    const all = await gather(store.readAll());
    equal(all.map(({ actorId }) => actorId), ["order-1", "order-2"], "actors of the events");
    const { signal } = new AbortController();
    await store.saveEvents(samples("order-1", [2]), { signal });
    equal((await store.getEvents("order-1")).length, 2, "number of events");
  });

  test("a signal ends a save that waits for its codec, or for its turn", async ({ open }) => {
    const codec = new HeldCodec();
    const store = await open({ codec });
    const held = codec.hold();
    const saves = range(1, 2).map((version) => {
      const abort = new AbortController();
      return { abort, saved: store.saveEvents(samples("order-1", [version]), abort) };
    });
    await within(held, "an encoding");
    const reason = new Error("too late");
    for (const { abort, saved } of saves.reverse()) {
      await turns();
      abort.abort(reason);
      const error = await rejects(() => within(saved, "the save"), "StoreUnavailableError");
      equal(error.cause, reason, "cause");
    }
    codec.release();
    await store.saveEvents(samples("order-1", [3]));
    equal((await store.getEvents("order-1")).map(({ version }) => version), [3], "versions");
  });
}

/** Single events and batches of several actors; returns them in order, and the end of each save. */
async function fill(
  store: EventStore,
): Promise<{ events: Event[]; receipts: { id: string; sequence: number }[] }> {
  const actors = ["order-1", "bill-1", "order-2", "order", "-x", "漢-1"];
  const versions = new Map<string, number>();
  const events: Event[] = [];
  const receipts: { id: string; sequence: number }[] = [];
  const saves = range(1, 24).map((at) => at % 3 === 0 ? 4 : 1);
  for (const count of saves) {
    const batch = range(1, count).map((): Event => {
      const at = events.length;
      const actorId = actors[(at * 7) % actors.length]!;
      const version = (versions.get(actorId) ?? 0) + 1 + at % 2;
      versions.set(actorId, version);
      const eventType = ["Placed", "Paid", "Sent"][at % 3]!;
      const event = sample({ actorId, version, eventType, data: at });
      events.push(event);
      return event;
    });
    const { sequence } = await store.saveEvents(batch);
    receipts.push({ id: batch.at(-1)!.id, sequence });
  }
  return { events, receipts };
}

function passes({ category, actorId, eventTypes }: EventFilter, event: Event): boolean {
  return (category === undefined || categoryOf(event.actorId) === category) &&
    (actorId === undefined || event.actorId === actorId) &&
    (eventTypes === undefined || eventTypes.includes(event.eventType));
}

/** Written down again, as the suite is to notice when it changes. */
function categoryOf(actorId: string): string {
  const [category = ""] = actorId.split("-");
  return category === "" ? actorId : category;
}

function withoutSequence({ sequence: _, commit: __, ...event }: RecordedEvent): Event {
  return event;
}
