import type { Event } from "../../store/event.ts";
import { equal, ok, rejects } from "../assert.ts";
import {
  conflicts,
  holds,
  range,
  roomFor,
  sample,
  samples,
  type StoreTest,
  versionsOf,
} from "./kit.ts";

/** Promise 6: reads are complete and in order, and see one's own writes. */
export function reading(test: StoreTest, together: StoreTest, maxBytes: number = Infinity): void {
  test("getEvents() begins at fromVersion, in gaps and beyond the end too", async ({ open }) => {
    const store = await open();
    const stored = [1, 2, 5, 9, 10];
    for (const event of samples("order-1", stored)) await store.saveEvent(event);
    for (const from of range(0, 12)) {
      const versions = (await store.getEvents("order-1", from)).map(({ version }) => version);
      equal(versions, stored.filter((version) => version >= from), `versions from ${from}`);
    }
    equal(await store.getEvents("order-1", Number.MAX_SAFE_INTEGER), [], "events from the end");
  });

  test("getEvents() of an unknown actor is empty", async ({ open }) => {
    const store = await open();
    await store.saveEvent(sample());
    for (const actorId of ["order", "order-", "order-2", "other"]) {
      equal(await store.getEvents(actorId), [], `events of ${actorId}`);
      equal(await store.getEvents(actorId, 1), [], `events of ${actorId} from 1`);
    }
  });

  test("getEvents() refuses an invalid version or actor", async ({ open }) => {
    const store = await open();
    for (const from of [-1, 0.5, NaN, Infinity, "1" as never]) {
      await rejects(() => store.getEvents("order-1", from), "RangeError", `from ${from}`);
    }
    for (const actorId of ["", "\udc00", "x".repeat(1024), 7 as never, undefined as never]) {
      await rejects(() => store.getEvents(actorId), "RangeError", "an impossible id");
      await rejects(() => store.getLatestVersion(actorId), "RangeError", "an impossible id");
    }
  });

  test("a save is seen by every read that begins after it", async ({ open }) => {
    const store = await open();
    for (const version of range(1, 25)) {
      await store.saveEvent(sample({ version }));
      equal(await store.getLatestVersion("order-1"), version, "latest version");
      equal(await versionsOf(store, "order-1"), range(1, version), "versions");
      const tail = await store.getEvents("order-1", version);
      equal(tail.map((event) => event.version), [version], "versions from the last");
    }
  });

  test("a long history is read whole, and from any place", async ({ open }) => {
    const store = await open();
    const events = samples("order-1", range(1, 1300).map((at) => at * 2));
    for (let at = 0; at < events.length; at += 500) {
      await store.saveEvents(events.slice(at, at + 500));
      await store.saveEvents(samples(`other-${at}`, range(1, 20)));
    }
    await holds(store, events);
    for (const from of [1, 2, 3, 1023, 1025, 1999, 2000, 2599, 2600]) {
      const versions = (await store.getEvents("order-1", from)).map(({ version }) => version);
      const wanted = events.map(({ version }) => version).filter((version) => version >= from);
      equal(versions, wanted, `versions from ${from}`);
    }
    equal(await store.getEvents("order-1", 2601), [], "events beyond the end");
  });

  test("a history of large events is read whole", async ({ open }) => {
    const store = await open();
    const large = Math.min(500_000, roomFor(maxBytes) / 2);
    const events = range(1, 12).map((version) =>
      sample({ version, data: String(version).repeat(large) })
    );
    for (const event of events) await store.saveEvent(event);
    await holds(store, events);
    equal((await store.getEvents("order-1", 12)).length, 1, "number of events from 12");
  });

  together("what one store saved another one reads, from any place", async ({ open }) => {
    const [first, second] = [await open(), await open()];
    const events = samples("order-1", range(1, 20));
    for (const event of events) {
      await first.saveEvent(event);
      equal(await second.getLatestVersion("order-1", { fresh: true }), event.version, "latest");
      const seen = await second.getEvents("order-1", event.version);
      equal(seen.map(({ version }) => version), [event.version], "versions from the last");
    }
    const third = await open();
    equal((await third.getEvents("order-1", 13)).length, 8, "number of events from 13");
    await holds(third, events);
  });

  together("events outlive the store that saved them", async ({ open }) => {
    const first = await open();
    const events = [...samples("order-1", [1, 3]), ...samples("order-2", [1])];
    const { sequence } = await first.saveEvents(events);
    await first[Symbol.asyncDispose]();
    const second = await open();
    await holds(second, events);
    await conflicts(() => second.saveEvent(sample({ version: 3 })), "order-1", 3, 3);
    const next = await second.saveEvent(sample({ version: 4 }));
    ok(next.sequence > sequence, "positions go on");
  });

  test("namespaces share nothing, however they are named", async ({ open, namespace }) => {
    const names = [namespace, `${namespace}.*`, `${namespace}.>`, `${namespace}.event`].concat(
      `${namespace} `,
      `${namespace}=2E`,
      namespace.toUpperCase(),
    );
    const stores = await Promise.all(names.map((name) => open({ namespace: name })));
    for (const [at, store] of stores.entries()) {
      equal(await store.getEvents("order-1"), [], `events in ${names[at]}`);
      await store.saveEvents(samples("order-1", range(1, at + 1)));
    }
    for (const [at, store] of stores.entries()) {
      equal(await versionsOf(store, "order-1"), range(1, at + 1), `versions in ${names[at]}`);
    }
  });
}

/** Promise 7, as far as a test of answers can show; a bench shows the cost. */
export function latestVersions(test: StoreTest, together: StoreTest): void {
  test("getLatestVersion() is 0 for an unknown actor", async ({ open }) => {
    const store = await open();
    equal(await store.getLatestVersion("order-1"), 0, "latest version");
    equal(await store.getLatestVersion("order-1", { fresh: true }), 0, "latest version, fresh");
    await store.saveEvent(sample({ actorId: "order-2", version: 3 }));
    equal(await store.getLatestVersion("order-1"), 0, "latest version, with others there");
  });

  test("getLatestVersion() follows saves, batches and conflicts", async ({ open }) => {
    const store = await open();
    const latest = async (expected: number): Promise<void> => {
      equal(await store.getLatestVersion("order-1"), expected, "latest version");
      equal(await store.getLatestVersion("order-1", { fresh: true }), expected, "fresh");
    };
    await latest(0);
    await store.saveEvent(sample());
    await latest(1);
    await store.saveEvents([...samples("order-1", [2, 7]), ...samples("order-2", [1])]);
    await latest(7);
    await rejects(() => store.saveEvent(sample({ version: 7 })), "VersionConflictError");
    await rejects(
      () => store.saveEvents([...samples("order-1", [8]), ...samples("order-2", [1])]),
      "VersionConflictError",
    );
    await latest(7);
  });

  together("getLatestVersion() with fresh sees what another store has saved", async ({ open }) => {
    const [first, second] = [await open(), await open()];
    for (const version of range(1, 10)) {
      await first.saveEvent(sample({ version }));
      equal(await second.getLatestVersion("order-1", { fresh: true }), version, "latest version");
      ok(await second.getLatestVersion("order-1") >= version, "the answer is kept");
    }
  });

  together("a store that remembers too little saves all the same", async ({ open }) => {
    const [first, second] = [await open(), await open()];
    await first.saveEvent(sample({ version: 1 }));
    await second.saveEvent(sample({ version: 2 }));
    await first.saveEvent(sample({ version: 3 }));
    await conflicts(() => second.saveEvent(sample({ version: 3 })), "order-1", 3, 3);
    equal(await second.getLatestVersion("order-1"), 3, "latest version after the conflict");
    await second.saveEvents(samples("order-1", [4, 5]));
    await first.saveEvents([...samples("order-1", [6]), ...samples("order-2", [1])]);
    equal(await versionsOf(second, "order-1"), range(1, 6), "versions");
  });
}

/** Nothing is aliased. */
export function copies(test: StoreTest): void {
  const make = (version: number): Event =>
    sample({
      version,
      data: { items: [{ sku: "a" }], total: 1 },
      metadata: { userId: "u" },
      timestamp: new Date("2020-01-02T03:04:05.678Z"),
    });
  // deno-lint-ignore no-explicit-any -- writes where the types forbid it
  const spoil = (event: any): void => {
    event.data.items[0].sku = "spoiled";
    event.data.items.push("spoiled");
    event.data.total = NaN;
    event.metadata.userId = "spoiled";
    event.timestamp.setTime(0);
    event.version = 99;
    event.actorId = "spoiled-1";
    event.id = "spoiled";
    delete event.eventType;
  };

  test("changes to an event after the call do not reach the store", async ({ open }) => {
    const store = await open();
    const originals = range(1, 4).map(make);
    const expected = structuredClone(originals);
    const single = store.saveEvent(originals[0]!);
    spoil(originals[0]);
    await single;
    const batch = originals.slice(1, 3);
    const expect = [{ actorId: "order-1", version: 1 }];
    const several = store.saveEvents(batch, { expect });
    for (const event of batch) spoil(event);
    batch.push(originals[3]!);
    expect[0]!.version = 77;
    expect.push({ actorId: "order-2", version: 5 });
    await several;
    await holds(store, expected.slice(0, 3));
    equal(await store.getEvents("spoiled-1"), [], "events of another actor");
  });

  test("changes to a result reach neither the store nor other results", async ({ open }) => {
    const store = await open();
    const events = [make(1), make(2)];
    await store.saveEvents(events);
    const first = await store.getEvents("order-1");
    const second = await store.getEvents("order-1");
    for (const event of first) spoil(event);
    first.length = 0;
    equal(second, events, "an earlier result");
    await holds(store, events);
  });
}
