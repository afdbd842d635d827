import { isAetherError } from "../../store/errors.ts";
import type { InvalidEventError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import type { EventStore } from "../../store/store.ts";
import { equal, ok, rejects } from "../assert.ts";
import { conflicts, holds, range, sample, samples, type StoreTest } from "./kit.ts";

/** Promise 1: strictly increasing. */
export function versions(test: StoreTest): void {
  test("saveEvent() stores events that getEvents() returns in order", async ({ open }) => {
    const store = await open();
    const events = [
      sample({ version: 1, data: { total: 99.99, items: [{ sku: "a" }, { sku: "b" }] } }),
      sample({ version: 2, metadata: { correlationId: "c", userId: "u", own: "x" } }),
      sample({ version: 3, timestamp: new Date("2001-02-03T04:05:06.007Z") }),
    ];
    for (const event of events) await store.saveEvent(event);
    await holds(store, events);
  });

  test("saveEvent() refuses a version that is not newer", async ({ open }) => {
    const store = await open();
    const events = samples("order-1", [1, 2, 5]);
    for (const event of events) await store.saveEvent(event);
    for (const version of [1, 2, 3, 4, 5]) {
      await conflicts(() => store.saveEvent(sample({ version })), "order-1", version, 5);
    }
    await holds(store, events);
  });

  test("a conflict is an AetherError by its code", async ({ open }) => {
    const store = await open();
    await store.saveEvent(sample());
    try {
      await store.saveEvent(sample());
    } catch (error) {
      ok(isAetherError(error, "VersionConflictError"), "isAetherError() recognises the conflict");
      equal(error.code, "VersionConflictError");
      return ok(error instanceof Error, "it is an Error");
    }
    throw new Error("Expected a conflict");
  });

  test("versions may have gaps, and begin above 1", async ({ open }) => {
    const store = await open();
    const events = samples("order-1", [3, 4, 10, 1_000_000, Number.MAX_SAFE_INTEGER]);
    for (const event of events) await store.saveEvent(event);
    await holds(store, events);
  });

  test("actors have their own versions, and positions grow over all actors", async ({ open }) => {
    const store = await open();
    const events = ["order-1", "order-2", "order", "Order-1", "order-10"].flatMap((actorId) =>
      samples(actorId, [1, 2])
    );
    let before = 0;
    for (const event of events) {
      const { sequence, duplicate } = await store.saveEvent(event);
      equal(duplicate, false, "duplicate");
      ok(Number.isSafeInteger(sequence) && sequence > before, "positions grow");
      before = sequence;
    }
    await holds(store, events);
  });
}

/** Promise 3: idempotent. */
export function duplicates(test: StoreTest, together: StoreTest): void {
  test("saving an event again returns the stored position and duplicate", async ({ open }) => {
    const store = await open();
    const event = sample();
    const first = await store.saveEvent(event);
    equal(first.duplicate, false, "duplicate at first");
    equal(await store.saveEvent(event), { sequence: first.sequence, duplicate: true }, "receipt");
    await holds(store, [event]);
  });

  test("saving an older event again is a duplicate, over gaps and others' events", async ({ open }) => {
    const store = await open();
    const events = samples("order-1", [1, 2, 3, 7, 20, 21, 50]);
    const positions: number[] = [];
    for (const event of events) {
      positions.push((await store.saveEvent(event)).sequence);
      await store.saveEvents(samples("other-1", [event.version]));
      await store.saveEvents(samples(`another-${event.version}`, [1, 2]));
    }
    for (const [at, event] of events.entries()) {
      equal(await store.saveEvent(event), { sequence: positions[at], duplicate: true }, "receipt");
    }
    await holds(store, events);
  });

  test("another event at a stored version is a conflict", async ({ open }) => {
    const store = await open();
    const [first, second] = samples("order-1", [1, 2]);
    await store.saveEvents([first!, second!]);
    await conflicts(() => store.saveEvent({ ...first!, id: "other" }), "order-1", 1, 2);
    await conflicts(() => store.saveEvent({ ...second!, id: first!.id }), "order-1", 2, 2);
    await holds(store, [first!, second!]);
  });

  test("a stored event at another version is a conflict", async ({ open }) => {
    const store = await open();
    const events = samples("order-1", [1, 5, 9]);
    for (const event of events) await store.saveEvent(event);
    const moved = { ...events[1]!, version: 3 };
    await conflicts(() => store.saveEvent(moved), "order-1", 3, 9);
    const again = [events[0]!, { ...events[1]!, version: 9 }];
    await conflicts(() => store.saveEvents(again), "order-1", 9, 9);
    await holds(store, events);
  });

  test("the id of a stored event at its version with other content is a conflict", async ({ open }) => {
    const store = await open();
    const events = [
      sample({ version: 1, data: { rate: 3, of: [1, { deep: null }] } }),
      sample({ version: 2, data: "text" }),
      sample({ version: 3, data: ["a"] }),
    ];
    await store.saveEvent(events[0]!);
    await store.saveEvents(events.slice(1));
    const others: [number, Partial<Event>][] = [
      [1, { eventType: "OrderDeclined" }],
      [1, { data: { rate: 9, of: [1, { deep: null }] } }],
      [1, { data: { rate: 3, of: [1, { deep: null }], more: 1 } }],
      [1, { data: { rate: 3, of: [1, { deep: 0 }] } }],
      [1, { data: null }],
      [2, { data: "texts" }],
      [3, { data: { 0: "a" } }],
      [3, { data: ["a", "a"] }],
    ];
    for (const [version, other] of others) {
      const event = { ...events[version - 1]!, ...other };
      await conflicts(() => store.saveEvent(event), "order-1", version, 3);
      const batch = [...events.slice(0, version - 1), event];
      await conflicts(() => store.saveEvents(batch), "order-1", version, 3);
    }
    await holds(store, events);
  });

  test("a save is made again with another timestamp, metadata and order of keys", async ({ open }) => {
    const store = await open();
    const event = sample({ data: { a: 1, b: [{ c: 2, d: 3 }] } });
    const { sequence } = await store.saveEvent(event);
    const again = {
      ...event,
      data: { b: [{ d: 3, c: 2 }], a: 1 },
      timestamp: new Date(event.timestamp.getTime() + 1000),
      metadata: { traceparent: "other" },
    };
    equal(await store.saveEvent(again), { sequence, duplicate: true }, "receipt");
    await holds(store, [event]);
  });

  test("an id that the actor's last message holds is refused at another version", async ({ open }) => {
    const store = await open();
    const events = samples("order-1", [1, 2, 3]);
    await store.saveEvents(events);
    for (const { id } of events) {
      const again = () =>
        store.saveEvents([sample({ version: 4, data: 4 }), sample({ version: 5, id })]);
      const error = await rejects<InvalidEventError>(again, "InvalidEventError");
      ok(error.reason.includes("is stored already"), error.reason);
    }
    await holds(store, events);
    const { id } = events[0]!;
    // The id of another actor's event, as one that no save can see, is taken.
    const elsewhere = sample({ actorId: "order-2", id });
    await store.saveEvent(elsewhere);
    await holds(store, [elsewhere]);
  });

  test("of saves at once whose events have one id, one stores", async ({ open }) => {
    const store = await open();
    // Alone, and behind another save: those that wait for it may go together.
    for (const [actorId, before] of [["order-1", 0], ["order-2", 1]] as const) {
      const others = samples(actorId, range(1, before));
      const { id } = sample();
      const events = range(1, 5).map((at) =>
        sample({ actorId, version: before + at, id, data: at })
      );
      const all = [...others, ...events];
      const outcomes = await Promise.allSettled(all.map((event) => store.saveEvent(event)));
      const stored = all.filter((_, at) => outcomes[at]!.status === "fulfilled");
      equal(stored.length, before + 1, "number of saves that stored");
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") ok(isAetherError(outcome.reason), "the others are told");
      }
      await holds(store, stored);
    }
  });

  test("saving a whole batch again is a duplicate, also after newer events", async ({ open }) => {
    const store = await open();
    const a = samples("a-1", [1, 3, 4]);
    const b = samples("b-1", [2, 9]);
    const batch = [a[0]!, b[0]!, a[1]!, a[2]!, b[1]!];
    const { sequence } = await store.saveEvents(batch);
    equal(await store.saveEvents(batch), { sequence, duplicate: true }, "receipt");
    const newer = [...samples("a-1", [10]), ...samples("b-1", [10])];
    for (const event of newer) await store.saveEvent(event);
    equal(await store.saveEvents(batch), { sequence, duplicate: true }, "receipt after newer");
    await holds(store, [...batch, ...newer]);
  });

  test("a batch of events that were saved one by one is a duplicate", async ({ open }) => {
    const store = await open();
    const a = samples("a-1", [1, 2, 3]);
    const b = samples("b-1", [1]);
    let last = 0;
    for (const event of [...b, ...a]) last = (await store.saveEvent(event)).sequence;
    // The position of the last event in the store, wherever it stands in the batch.
    const receipt = await store.saveEvents([a[0]!, a[2]!, b[0]!]);
    equal(receipt, { sequence: last, duplicate: true }, "receipt");
    await holds(store, [...a, ...b]);
  });

  test("a batch stored in part is a conflict that names the first difference", async ({ open }) => {
    const store = await open();
    const stored = samples("a-1", [1, 2]);
    await store.saveEvents(stored);
    const [third] = samples("a-1", [3]);
    const other = sample({ actorId: "b-1" });
    await conflicts(() => store.saveEvents([...stored, third!]), "a-1", 3, 2);
    await conflicts(() => store.saveEvents([stored[0]!, other, stored[1]!]), "b-1", 1, 0);
    const differs = { ...stored[1]!, id: "differs" };
    await conflicts(() => store.saveEvents([stored[0]!, differs, third!]), "a-1", 2, 2);
    await holds(store, stored);
    equal(await store.getEvents("b-1"), [], "events of b-1");
  });

  test("of equal saves at the same time one stores, and the others are duplicates", async ({ open }) => {
    const store = await open();
    const batch = [...samples("a-1", [1, 2]), ...samples("b-1", [1])];
    const receipts = await Promise.all(range(1, 8).map(() => store.saveEvents(batch)));
    equal(new Set(receipts.map(({ sequence }) => sequence)).size, 1, "number of positions");
    equal(receipts.filter(({ duplicate }) => !duplicate).length, 1, "number of saves that stored");
    await holds(store, batch);
  });

  together("a second store recognises what the first one saved", async ({ open }) => {
    const first = await open();
    const batch = [...samples("a-1", [1, 4]), ...samples("b-1", [2])];
    const { sequence } = await first.saveEvents(batch);
    const second = await open();
    equal(await second.saveEvents(batch), { sequence, duplicate: true }, "receipt");
    await conflicts(() => second.saveEvent(sample({ actorId: "a-1", version: 2 })), "a-1", 2, 4);
    await holds(second, batch);
  });
}

/** Promise 2: no lost update. */
export function writers(test: StoreTest, together: StoreTest): void {
  test("exactly one of many writers at one version wins", async ({ open }) => {
    await race([await open()]);
  });

  together("exactly one of many writers at one version in two stores wins", async ({ open }) => {
    await race([await open(), await open()]);
  });

  test("writers that read, decide and retry lose no update", async ({ open }) => {
    await count([await open()]);
  });

  together("writers in two stores that read, decide and retry lose no update", async ({ open }) => {
    await count([await open(), await open()]);
  });

  test("batches over the same actors in any order all come to an end", async ({ open }) => {
    const store = await open();
    const actors = ["a-1", "b-1", "c-1"];
    const saves = range(1, 30).map((at) => {
      const order = [...actors.slice(at % 3), ...actors.slice(0, at % 3)].slice(0, 2);
      return store.saveEvents(order.map((actorId) => sample({ actorId, version: at, data: at })))
        .then(() => order.map((actorId) => `${actorId} ${at}`), (error: Error) => {
          equal(error.name, "VersionConflictError", "name of the error");
          return [];
        });
    });
    const won = (await Promise.all(saves)).flat();
    const kept: string[] = [];
    for (const actorId of actors) {
      const events = await store.getEvents(actorId);
      kept.push(...events.map(({ version }) => `${actorId} ${version}`));
    }
    ok(won.length > 0, "some batches are stored");
    equal(kept.sort(), won.sort(), "what is stored");
  });
}

async function race(stores: readonly EventStore[]): Promise<void> {
  const winners: Event[] = [];
  for (const version of range(1, 10)) {
    const attempts = range(1, 12).map(async (at) => {
      const event = sample({ version, data: at });
      try {
        const { duplicate } = await stores[at % stores.length]!.saveEvent(event);
        equal(duplicate, false, "duplicate");
        return event;
      } catch (error) {
        ok(isAetherError(error, "VersionConflictError"), `${error} is a conflict`);
        equal(error.currentVersion, version, "current version");
        return undefined;
      }
    });
    const won = (await Promise.all(attempts)).filter((event) => event !== undefined);
    equal(won.length, 1, `number of winners at version ${version}`);
    winners.push(...won);
  }
  for (const store of stores) await holds(store, winners);
}

async function count(stores: readonly EventStore[]): Promise<void> {
  const done: string[] = [];
  const write = async (writer: number): Promise<void> => {
    const store = stores[writer % stores.length]!;
    for (const step of range(1, 5)) {
      for (;;) {
        const version = await store.getLatestVersion("order-1", { fresh: true }) + 1;
        try {
          await store.saveEvent(sample({ version, data: `${writer}.${step}` }));
          break;
        } catch (error) {
          if (!isAetherError(error, "VersionConflictError")) throw error;
        }
      }
      done.push(`${writer}.${step}`);
    }
  };
  await Promise.all(range(1, 6).map(write));
  for (const store of stores) {
    const events = await store.getEvents("order-1");
    equal(events.map(({ version }) => version), range(1, 30), "versions");
    equal(events.map(({ data }) => data).sort(), done.toSorted(), "updates");
  }
}
