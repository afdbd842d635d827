import { assert, assertEquals } from "@std/assert";
import type { Event, EventStore } from "../../../store/mod.ts";
import { fact, facts, storeApart } from "../../support/fault.ts";
import { idle, type Opened, type Stores, storeTest } from "../../support/stores.ts";

/** Also runs what takes minutes. */
const LONG = Deno.env.get("AETHER_LONG") !== undefined;
/** Messages that a page has at most. */
const PAGE = 512;
const TRACE = { direction: "backwards", limit: 10 } as const;

/** The places of an actor's events, other than each in a message of its own. */
type Place =
  /** Each is a message, and between two of them is one of another actor. */
  | "among others"
  /** Those of one save are in as few messages as there can be. */
  | "in large saves";

/** Stores versions 1 to `count` of `order-1`. */
async function fill(
  stores: Stores,
  count: number,
  place?: Place,
  namespace = stores.namespace,
): Promise<void> {
  const { store, connection } = await stores.open({ namespace });
  if (place === undefined) return await storeApart(connection, store, facts("order-1", 1, count));
  const own = place === "among others" ? 500 : 1000;
  for (let version = 1; version <= count; version += own) {
    const events = facts("order-1", version, Math.min(own, count - version + 1));
    await store.saveEvents(
      place === "in large saves"
        ? events
        : events.flatMap((event, at) => [event, fact(`bill-${at}`, version)]),
    );
  }
}

/** The result of `work`, and the messages that went over the connection for it. */
async function counted<T>(
  { connection }: Opened,
  work: () => Promise<T>,
): Promise<{ result: T; sent: number; received: number }> {
  const before = connection.stats();
  const result = await work();
  const after = connection.stats();
  return {
    result,
    sent: after.outMsgs - before.outMsgs,
    received: after.inMsgs - before.inMsgs,
  };
}

async function versionsIn(events: AsyncIterable<Event>): Promise<number[]> {
  const versions: number[] = [];
  for await (const { version } of events) versions.push(version);
  return versions;
}

function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

const PLACES: [number, Place | undefined, number][] = [
  [LONG ? 50_000 : 20_000, undefined, 4],
  [LONG ? 200_000 : 50_000, "in large saves", 2 * Math.log2(LONG ? 800 : 200) + 4],
  [LONG ? 200_000 : 20_000, "among others", 2 * Math.log2(20_000) + 4],
];
for (const [count, place, most] of PLACES) {
  storeTest(
    `Of ${count} events ${place ?? "on end"} the last ten are read with no other`,
    async (stores) => {
      await fill(stores, count, place);
      const cold = await stores.open();
      const { result, sent, received } = await counted(
        cold,
        () => versionsIn(cold.store.readEvents("order-1", TRACE)),
      );
      assertEquals(result, upTo(count, count - 9).reverse());
      // One request for the end, some to find the place, one for the page.
      assert(sent <= most, `${sent} requests`);
      assert(received <= sent + 14, `${received} messages`);
    },
  );
}

storeTest(
  "The last events are caught up with in few requests, among many others",
  async (stores) => {
    const count = 20_000;
    await fill(stores, count, "among others");
    const warm = await stores.open();
    const { store } = warm;
    assertEquals(await store.getLatestVersion("order-1"), count);
    for (const from of [count, count - 9, count - 300, count / 2 + 7]) {
      const { result, sent, received } = await counted(
        warm,
        () => store.getEvents("order-1", from),
      );
      assertEquals(
        result.map(({ version }) => version),
        upTo(count, from),
      );
      // The end, the place, the pages, and that the stream is still the same one.
      const pages = Math.ceil(result.length / PAGE);
      assert(sent <= pages + 10, `${sent} requests from ${from}`);
      assert(received <= result.length + pages + 12, `${received} messages from ${from}`);
    }
  },
);

storeTest("Reading backwards fetches little that it does not give", async (stores) => {
  for (const [count, place] of [[10_000, undefined], [5_000, "among others"]] as const) {
    const namespace = `${stores.namespace}-${count}`;
    await fill(stores, count, place, namespace);
    const cold = await stores.open({ namespace });
    const { result, received } = await counted(
      cold,
      () => versionsIn(cold.store.readEvents("order-1", { direction: "backwards" })),
    );
    assertEquals(result, upTo(count).reverse());
    assert(received <= count * 1.15, `${received} messages for ${count} events`);
  }
});

storeTest("A read with a bound or a limit fetches no page behind it", async (stores) => {
  await fill(stores, 3000);
  const cold = await stores.open();
  for (
    const [options, wanted, most] of [
      [{ toVersion: 500 }, upTo(500), PAGE],
      [{ limit: 10 }, upTo(10), 11],
      [{ fromVersion: 2001, toVersion: 2010 }, upTo(2010, 2001), 138],
      [{ fromVersion: 2001, limit: 10 }, upTo(2010, 2001), 21],
      [{ fromVersion: 2001, toVersion: 1000 }, [], 0],
    ] as const
  ) {
    const { result, received } = await counted(
      cold,
      () => versionsIn(cold.store.readEvents("order-1", options)),
    );
    assertEquals(result, wanted, JSON.stringify(options));
    // Beside them only the end, the places that are looked for, and the ends of pages.
    assert(received <= most + 8, `${received} messages for ${JSON.stringify(options)}`);
  }
});

storeTest(
  "Reading backwards over a wide gap does not keep all that is below it",
  async (stores) => {
    const count = 10_000;
    await fill(stores, count);
    const { store } = await stores.open();
    await store.saveEvent(fact("order-1", 10 ** 12));
    const cold = await stores.open();
    const before = cold.connection.stats().inMsgs;
    const versions: number[] = [];
    for await (const { version } of cold.store.readEvents("order-1", { direction: "backwards" })) {
      versions.push(version);
      if (version !== count) continue;
      const received = cold.connection.stats().inMsgs - before;
      assert(received <= 5 * PAGE, `${received} messages`);
    }
    assertEquals(versions, [...upTo(count), 10 ** 12].reverse());
  },
);

const WAYS: Record<string, (store: EventStore) => AsyncIterable<Event>> = {
  "readEvents() forwards": (store) => store.readEvents("order-1"),
  "readEvents() backwards": (store) => store.readEvents("order-1", { direction: "backwards" }),
  "readAll()": (store) => store.readAll(),
};

storeTest("At most two pages are kept for a slow consumer", async (stores) => {
  const count = 10_000;
  await fill(stores, count);
  for (const [way, read] of Object.entries(WAYS)) {
    const { store, connection } = await stores.open();
    const before = connection.stats().inMsgs;
    const versions: number[] = [];
    for await (const { version } of read(store)) {
      versions.push(version);
      if (versions.length > 10 && versions.length % 1000 !== 0) continue;
      if (LONG) await new Promise((resolve) => setTimeout(resolve, 1000));
      await idle(stores, connection);
      const ahead = connection.stats().inMsgs - before - versions.length;
      // Each page has its end; backwards more places are looked for.
      const others = 20 + versions.length / 50;
      assert(ahead <= 2 * PAGE + others, `${way} is ${ahead} messages ahead`);
    }
    if (way.endsWith("backwards")) versions.reverse();
    assertEquals(versions, upTo(count), way);
  }
  const { slow_consumers } = await stores.scene.server.monitor<{ slow_consumers: number }>("/varz");
  assertEquals(slow_consumers, 0);
});
