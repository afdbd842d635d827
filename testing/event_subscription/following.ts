import { equal, ok, rejects, within } from "../assert.ts";
import {
  placesAround,
  range,
  sample,
  samples,
  type StoreTest,
  withoutCommit,
} from "../event_store/kit.ts";
import { all, iterator, next, places, saveEach, take } from "./kit.ts";

/** Replay, then live: no gap, no duplicate, in the store's order. */
export function following(test: StoreTest, together: StoreTest): void {
  test("subscribe() replays stored events, then goes on with new ones", async ({ open }) => {
    const store = await open();
    const stored = [...samples("order-1", [1, 4]), ...samples("stock-1", [1])];
    const sequences = await saveEach(store, stored);
    const subscription = store.subscribe();
    const replayed = await take(subscription, 3);
    equal(
      replayed.map(withoutCommit),
      stored.map((event, at) => ({ ...event, sequence: sequences[at] })),
      "replay",
    );
    for (const version of range(5, 24)) {
      const event = sample({ version, metadata: { userId: "u" } });
      const coming = next(subscription);
      const { sequence } = await store.saveEvent(event);
      equal(withoutCommit(await coming), { ...event, sequence }, "a live event");
    }
  });

  test("a subscription waits for the first event of an empty store", async ({ open }) => {
    const store = await open();
    const coming = next(store.subscribe());
    const { sequence } = await store.saveEvent(sample());
    equal((await coming).sequence, sequence, "sequence of the first event");
  });

  test("a subscription begins at any sequence, in gaps too, and at the next", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [1, 2, 3]));
    await store.saveEvents([...samples("order-1", [4]), ...samples("stock-1", [1, 2])]);
    const { sequence: end } = await store.saveEvent(sample({ version: 5 }));
    const stored = await all(store);
    for (const from of placesAround(stored).filter((from) => from <= end)) {
      const subscription = store.subscribe({ from });
      const wanted = stored.filter(({ sequence }) => sequence >= from);
      equal(await take(subscription, wanted.length), wanted, `events from ${from}`);
      await subscription[Symbol.asyncDispose]();
    }
    const coming = next(store.subscribe({ from: end + 1 }));
    await store.saveEvent(sample({ version: 6 }));
    equal((await coming).version, 6, "version of what follows on the end");
  });

  test('a subscription from "now" leaves out what was saved before', async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", [1, 2]));
    const subscription = store.subscribe({ from: "now" });
    await within(subscription.caughtUp, "caughtUp");
    await store.saveEvent(sample({ version: 3 }));
    equal((await next(subscription)).version, 3, "version of the first event");
  });

  test("events saved while a subscription replays come once, in order", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-0", range(1, 700)));
    const subscription = store.subscribe();
    const events = take(subscription, 700 + 4 * 60);
    await Promise.all(
      range(1, 4).map(async (actor) => {
        for (const version of range(1, 20)) {
          const first = 3 * version;
          await store.saveEvents(samples(`order-${actor}`, [first, first + 1, first + 2]));
        }
      }),
    );
    equal(await events, await all(store), "events");
  });

  test("the events of a batch come whole and side by side", async ({ open }) => {
    const store = await open();
    const coming = take(store.subscribe(), 40);
    for (const round of range(1, 10)) {
      await Promise.all([
        store.saveEvents([...samples("order-1", [2 * round]), ...samples("stock-1", [round])]),
        store.saveEvents(samples("order-2", [2 * round, 2 * round + 1])),
      ]);
    }
    const events = await coming;
    for (const [at, { commit, sequence }] of events.entries()) {
      const before = events[at - 1];
      if (at % 2 === 0) {
        equal([commit.index, commit.count], [0, 2], `place in its save of event ${at}`);
        ok(commit.op !== before?.commit.op, `event ${at} is of another save`);
      } else {
        equal(commit, { ...before!.commit, index: 1 }, `commit of event ${at}`);
        ok(sequence > before!.sequence, `sequence of event ${at} grows`);
      }
    }
  });

  test("a refused save never reaches a subscription", async ({ open }) => {
    const store = await open();
    const subscription = store.subscribe();
    for (const version of range(1, 20)) {
      await store.saveEvent(sample({ version }));
      const refused = [
        () => store.saveEvent(sample({ version })),
        () => store.saveEvents([...samples("stock-1", [version]), sample({ version })]),
        () =>
          store.saveEvents(samples("stock-2", [version]), {
            expect: [{ actorId: "order-1", version: version + 1 }],
          }),
      ];
      for (const save of refused) await rejects(save, "VersionConflictError");
    }
    const expected = range(1, 20).map((version): [string, number] => ["order-1", version]);
    equal(places(await take(subscription, 20)), expected, "events");
    const coming = next(subscription);
    await store.saveEvent(sample({ version: 21 }));
    equal(places([await coming]), [["order-1", 21]], "the event after the last refused one");
  });

  test("each subscription has its own place and its own copies", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 5)));
    // The third event, in the middle of its message.
    const from = (await all(store))[2]!.sequence;
    const [first, second] = [store.subscribe(), store.subscribe({ from })];
    const own = await take(first, 5);
    (own[2] as { data: unknown }).data = "spoiled";
    own[4]!.timestamp.setTime(0);
    const stored = await all(store);
    equal(await take(second, 3), stored.filter(({ sequence }) => sequence >= from), "the others");
    const coming = Promise.all([next(first), next(second)]);
    await store.saveEvent(sample({ version: 6 }));
    equal((await coming).map(({ version }) => version), [6, 6], "versions");
  });

  test("two loops over one subscription share its events out", async ({ open }) => {
    const store = await open();
    await store.saveEvents(samples("order-1", range(1, 20)));
    const subscription = store.subscribe();
    ok(iterator(subscription) === iterator(subscription), "there is one iterator");
    const halves = await Promise.all([take(subscription, 10), take(subscription, 10)]);
    const versions = halves.flat().map(({ version }) => version).sort((one, two) => one - two);
    equal(versions, range(1, 20), "versions");
  });

  together("a subscription sees what other stores save", async ({ open }) => {
    const [reader, ...writers] = [await open(), await open(), await open()];
    const coming = take(reader.subscribe(), 100);
    await Promise.all(writers.map(async (writer, at) => {
      for (const version of range(1, 50)) {
        await writer.saveEvent(sample({ actorId: `order-${at}`, version }));
      }
    }));
    equal(await coming, await all(reader), "events");
  });
}
