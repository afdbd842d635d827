import { appendEvents } from "../../store/append.ts";
import { isAetherError } from "../../store/errors.ts";
import type { EventStore } from "../../store/store.ts";
import { equal, ok, rejects } from "../assert.ts";
import {
  conflicts,
  gather,
  holds,
  range,
  Recorder,
  sample,
  samples,
  type StoreTest,
  versionsOf,
} from "./kit.ts";

/** Promise 5: all or nothing. */
export function batches(test: StoreTest, reserved: number): void {
  test("saveEvents() stores several events of several actors", async ({ open }) => {
    const store = await open();
    const batch = [
      ...samples("a-1", [1, 2]),
      ...samples("b-1", [5]),
      ...samples("a-1", [4]),
      ...samples("c-1", [1]),
    ];
    const { sequence, duplicate } = await store.saveEvents(batch);
    equal(duplicate, false, "duplicate");
    await holds(store, batch);
    const next = await store.saveEvent(sample({ actorId: "d-1" }));
    ok(next.sequence > sequence, "the next event stands behind the batch");
  });

  test("saveEvents() stores nothing if one event is in conflict", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const stored = samples("b-1", [1, 2]);
    await store.saveEvents(stored);
    for (const at of [0, 1, 2]) {
      const batch = [...samples("a-1", [1]), ...samples("c-1", [1])];
      batch.splice(at, 0, sample({ actorId: "b-1", version: 2 }));
      await rejects(() => store.saveEvents(batch), "VersionConflictError");
    }
    for (const actorId of ["a-1", "c-1"]) {
      equal(await store.getEvents(actorId), [], `events of ${actorId}`);
      equal(await store.getLatestVersion(actorId, { fresh: true }), 0, "latest version");
    }
    await holds(store, stored);
    equal(await gather(store.listActors()), ["b-1"], "actors after conflicts");
    equal(broadcaster.places, [["b-1", 1], ["b-1", 2]], "notifications");
  });

  test("saveEvents() stores nothing if one event is invalid", async ({ open }) => {
    const store = await open();
    const [good, better] = samples("a-1", [1, 2]);
    const bad = [
      sample({ actorId: "b-1", data: NaN }),
      sample({ actorId: "b-1", version: 0 }),
      sample({ actorId: "a-1", version: 1 }),
      sample({ actorId: "b-1", id: good!.id }),
      null,
      undefined,
    ];
    for (const event of bad) {
      const batch = [good!, event as never, better!];
      await rejects(() => store.saveEvents(batch), "InvalidEventError", `${event}`);
    }
    const sparse = [good!];
    sparse[2] = better!;
    await rejects(() => store.saveEvents(sparse), "InvalidEventError", "a batch with a hole");
    for (const actorId of ["a-1", "b-1"]) {
      equal(await store.getEvents(actorId), [], `events of ${actorId}`);
    }
  });

  test("versions of one actor must increase within a batch", async ({ open }) => {
    const store = await open();
    for (const versions of [[2, 1], [1, 1], [1, 3, 2]]) {
      await rejects(() => store.saveEvents(samples("a-1", versions)), "InvalidEventError");
    }
    equal(await store.getEvents("a-1"), [], "events");
  });

  test("an empty batch and one of over 1,000 messages are RangeErrors, and store nothing", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    await rejects(() => store.saveEvents([]), "RangeError", "an empty batch");
    // Each turn to another actor begins another message.
    const batch = range(0, 1000).map((at) =>
      sample({ actorId: `a-${at % 2}`, version: 1 + Math.floor(at / 2) })
    );
    await rejects(() => store.saveEvents(batch), "RangeError", "a batch of 1,001");
    const [one] = samples("a-1", [1]);
    const huge = Array.from({ length: 256_001 }, () => one!);
    await rejects(() => store.saveEvents(huge), "RangeError", "a batch of 256,001");
    equal(await store.getEvents("a-1"), [], "events");
    equal(broadcaster.places, [], "notifications");
  });

  test("a batch of 1,000 is stored, of one actor or of many, and one of 5,000", async ({ open }) => {
    const store = await open();
    const one = samples("a-1", range(1, 1000));
    const most = 1000 - reserved;
    const many = range(1, most).map((at) => sample({ actorId: `b-${at}`, data: at }));
    const more = samples("c-1", range(1, 5000));
    for (const batch of [one, many, more]) {
      const { sequence } = await store.saveEvents(batch);
      equal(
        await store.saveEvents(batch),
        { sequence, duplicate: true },
        "receipt of a repetition",
      );
    }
    await holds(store, [...one, many[0]!, many[499]!, many.at(-1)!, ...more]);
  });
}

/** Guards of a save on the versions that it was decided on. */
export function expectations(test: StoreTest, together: StoreTest, reserved: number): void {
  test("expect holds a save to an actor's version exactly", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("a-1", [1, 2]));
    const events = samples("a-1", [5]);
    for (const version of [0, 1, 3, 4]) {
      const expect = [{ actorId: "a-1", version }];
      await conflicts(() => store.saveEvents(events, { expect }), "a-1", 5, 2);
    }
    await store.saveEvents(events, { expect: [{ actorId: "a-1", version: 2 }] });
    equal(await versionsOf(store, "a-1"), [1, 2, 5], "versions");
  });

  test("expect holds a save to the versions of actors that it does not write", async ({ open }) => {
    const store = await open();
    await store.saveEvents([...samples("stock-1", [1, 2, 3]), ...samples("price-1", [7])]);
    const stock = { actorId: "stock-1", version: 3 };
    const price = { actorId: "price-1", version: 7 };
    const stale = { actorId: "stock-1", version: 2 };
    const one = samples("order-1", [1]);
    await conflicts(() => store.saveEvents(one, { expect: [price, stale] }), "stock-1", 2, 3);
    equal(await store.getEvents("order-1"), [], "events after a stale expectation");
    await store.saveEvents(one, { expect: [price, stock] });
    const two = [...samples("order-1", [2, 3]), ...samples("order-2", [1])];
    await conflicts(() => store.saveEvents(two, { expect: [stale, price] }), "stock-1", 2, 3);
    await store.saveEvents(two, { expect: [stock, price] });
    await holds(store, [...one, ...two]);
    equal(await versionsOf(store, "stock-1"), [1, 2, 3], "versions of the guarded actor");
    equal(await store.getLatestVersion("price-1", { fresh: true }), 7, "latest version");
  });

  test("expect of version 0 means that an actor must not exist", async ({ open }) => {
    const store = await open();
    const name = { actorId: "name-bob", version: 0 };
    const first = samples("user-1", [1]);
    await store.saveEvents(first, { expect: [name] });
    await store.saveEvents([...samples("user-2", [1]), ...samples("name-bob", [1])], {
      expect: [name],
    });
    const third = samples("user-3", [1]);
    await conflicts(() => store.saveEvents(third, { expect: [name] }), "name-bob", 0, 1);
    equal(await store.getEvents("user-3"), [], "events");
    equal(await versionsOf(store, "name-bob"), [1], "versions of the guarded actor");
  });

  test("a repeated save is a duplicate even if its expectation no longer holds", async ({ open }) => {
    const store = await open();
    const events = samples("a-1", [1, 2]);
    const expect = [{ actorId: "a-1", version: 0 }, { actorId: "b-1", version: 0 }];
    const { sequence } = await store.saveEvents(events, { expect });
    await store.saveEvents(samples("b-1", [1]));
    equal(await store.saveEvents(events, { expect }), { sequence, duplicate: true }, "receipt");
  });

  test("expectations that no store can meet are RangeErrors, and store nothing", async ({ open }) => {
    const store = await open();
    const events = samples("a-1", [1]);
    for (const version of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      const expect = [{ actorId: "a-1", version }];
      await rejects(() => store.saveEvents(events, { expect }), "RangeError", `${version}`);
    }
    for (const actorId of ["", "\ud800", "x".repeat(1024)]) {
      const expect = [{ actorId, version: 0 }];
      await rejects(() => store.saveEvents(events, { expect }), "RangeError", "an impossible id");
    }
    const twice = [{ actorId: "b-1", version: 0 }, { actorId: "b-1", version: 0 }];
    await rejects(() => store.saveEvents(events, { expect: twice }), "RangeError", "one twice");
    equal(await store.getEvents("a-1"), [], "events");
  });

  test("events and guards that are too many for one batch are RangeErrors", async ({ open }) => {
    const store = await open();
    const expect = range(1, 1000).map((at) => ({ actorId: `guard-${at}`, version: 0 }));
    const one = samples("a-1", [1]);
    await rejects(() => store.saveEvents(one, { expect }), "RangeError", "1 with 1,000 guards");
    const most = 1000 - reserved;
    const many = range(1, 1000).map((at) => sample({ actorId: `b-${at}` }));
    const guard = expect.slice(0, 1);
    await rejects(() => store.saveEvents(many, { expect: guard }), "RangeError", "1,000 with one");
    equal(await store.getEvents("a-1"), [], "events");
    equal(await store.getEvents("b-1"), [], "events");
    // As many as fit: guards ride on an actor's second event and on those after it.
    await store.saveEvents(one, { expect: expect.slice(0, most - 1) });
    await store.saveEvents(samples("c-1", range(1, 1000)), { expect: expect.slice(0, most - 1) });
    await store.saveEvents(many.slice(0, most), { expect: [{ actorId: "b-7", version: 0 }] });
    equal((await store.getEvents("c-1")).length, 1000, "number of events");
  });

  test("saves that exclude each other by expect are never both stored", async ({ open }) => {
    await exclude([await open()]);
  });

  together(
    "saves of two stores that exclude each other are never both stored",
    async ({ open }) => {
      await exclude([await open(), await open()]);
    },
  );

  test("appendEvents() numbers the drafts and saves them at once", async ({ open }) => {
    const store = await open();
    const drafts = [
      { eventType: "OrderPlaced", data: { total: 5 }, metadata: { userId: "u" } },
      { eventType: "OrderPaid", data: null, id: "payment-7" },
    ];
    const first = await appendEvents(store, "order-1", 0, drafts);
    equal([first.version, first.duplicate], [2, false], "version and duplicate");
    equal(first.events[1]!.id, "payment-7", "id");
    const second = await appendEvents(store, "order-1", 2, [{ eventType: "OrderSent", data: 1 }]);
    equal(second.version, 3, "version");
    await holds(store, [...first.events, ...second.events]);
  });

  test("appendEvents() refuses any version but the actor's own", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [1, 2, 3]));
    const drafts = [{ eventType: "OrderSent", data: null }];
    for (const version of [0, 2]) {
      await conflicts(
        () => appendEvents(store, "order-1", version, drafts),
        "order-1",
        version + 1,
        3,
      );
    }
    // Beyond the end: the version is newer, but what it skips was never read.
    await conflicts(() => appendEvents(store, "order-1", 9, drafts), "order-1", 10, 3);
    await rejects(() => appendEvents(store, "order-1", -1, drafts), "RangeError", "version -1");
    await rejects(() => appendEvents(store, "order-1", 3, []), "RangeError", "no drafts");
    equal(await versionsOf(store, "order-1"), [1, 2, 3], "versions");
  });
}

/** Doctors who may leave only while the other one stays: the textbook's write skew. */
async function exclude(stores: readonly EventStore[]): Promise<void> {
  for (const round of range(1, 10)) {
    const doctors = [`doctor-a${round}`, `doctor-b${round}`];
    const leave = async (at: number): Promise<boolean> => {
      const expect = [{ actorId: doctors[1 - at]!, version: 0 }];
      const store = stores[at % stores.length]!;
      try {
        await store.saveEvents([sample({ actorId: doctors[at]! })], { expect });
        return true;
      } catch (error) {
        ok(isAetherError(error, "VersionConflictError"), `${error} is a conflict`);
        return false;
      }
    };
    const left = await Promise.all([leave(0), leave(1)]);
    ok(!(left[0] && left[1]), `one of two stays in round ${round}`);
    for (const [at, actorId] of doctors.entries()) {
      const events = await stores[0]!.getEvents(actorId);
      equal(events.length, left[at] ? 1 : 0, `number of events of ${actorId}`);
    }
  }
}
