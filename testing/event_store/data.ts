import type { EventTooLargeError, InvalidEventError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import type { EventStore } from "../../store/store.ts";
import { equal, ok, rejects } from "../assert.ts";
import { filled } from "./bounds.ts";
import { gather, holds, Recorder, sample, type StoreTest } from "./kit.ts";
import {
  faithfulValues,
  unfaithfulValues,
  WRONG_IDS,
  WRONG_TIMESTAMPS,
  WRONG_VERSIONS,
} from "../values.ts";

/** Data comes back as it was saved, or is refused. */
export function faithfulness(test: StoreTest): void {
  test("data that JSON carries comes back unchanged", async ({ open }) => {
    const store = await open();
    const data = faithfulValues();
    const events = data.map((each, at) => sample({ version: at + 1, data: each }));
    for (const event of events) await store.saveEvent(event);
    const plain = events.map((event) => ({
      ...event,
      data: JSON.parse(JSON.stringify(event.data)),
    }));
    await holds(store, plain);
    ok(!("polluted" in {}), "no prototype is polluted");
  });

  test("a property that is undefined is left out", async ({ open }) => {
    const store = await open();
    const data = { a: 1, b: undefined, c: { d: undefined }, e: [{ f: undefined, g: null }] };
    await store.saveEvent(sample({ data, metadata: { userId: "u", own: undefined } }));
    const [event] = await store.getEvents("order-1");
    equal(event!.data, { a: 1, c: {}, e: [{ g: null }] }, "data");
    equal(event!.metadata, { userId: "u" }, "metadata");
  });

  test("data that JSON would change is refused by InvalidEventError", async ({ open }) => {
    const store = await open();
    for (const [place, data] of unfaithfulValues()) {
      const action = () => store.saveEvent(sample({ data }));
      const { reason } = await rejects<InvalidEventError>(action, "InvalidEventError", place);
      ok(reason.startsWith("data"), `the reason begins with the place: ${reason}`);
    }
    await isUntouched(store);
  });

  test("metadata is an object of strings", async ({ open }) => {
    const store = await open();
    const wrong: unknown[] = [
      null,
      "text",
      1,
      ["text"],
      new Map(),
      { userId: 1 },
      { userId: null },
      { own: { deep: "text" } },
      { own: ["text"] },
      { own: () => "text" },
      { own: new Date() },
      { toJSON: () => "text" },
    ];
    for (const metadata of wrong) {
      const event = sample({ metadata: metadata as never });
      await rejects(() => store.saveEvent(event), "InvalidEventError", `metadata ${metadata}`);
    }
    await isUntouched(store);
    const events = [
      sample({ version: 1, metadata: {} }),
      sample({ version: 2, metadata: { "": "", "a\r\nb": "c\r\nd", "\ud800": "\ud800", x: "漢" } }),
      sample({ version: 3, metadata: JSON.parse('{ "__proto__": "x", "constructor": "y" }') }),
    ];
    for (const event of events) await store.saveEvent(event);
    await holds(store, events);
  });
}

/** Events that are refused, whatever their data. */
export function refusals(test: StoreTest): void {
  test("impossible ids, types, versions and timestamps are refused", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const wrong: [string, unknown][] = [
      ...["id", "eventType", "actorId"].flatMap((name) =>
        WRONG_IDS.map((value): [string, unknown] => [name, value])
      ),
      ...WRONG_VERSIONS.map((value): [string, unknown] => ["version", value]),
      ...WRONG_TIMESTAMPS.map((value): [string, unknown] => ["timestamp", value]),
    ];
    for (const [name, value] of wrong) {
      const event = { ...sample(), [name]: value } as Event;
      const what = `${name} ${typeof value} ${String(value).slice(0, 20)}`;
      await rejects(() => store.saveEvent(event), "InvalidEventError", what);
      const batch = [sample({ actorId: "order-2" }), event];
      await rejects(() => store.saveEvents(batch), "InvalidEventError", `${what} in a batch`);
    }
    for (const event of [null, undefined, "event", 1, []]) {
      await rejects(() => store.saveEvent(event as never), "InvalidEventError", `${event}`);
    }
    await isUntouched(store);
    equal(await store.getEvents("order-2"), [], "events of order-2");
    equal(await gather(store.listActors()), [], "actors after refusals");
    equal(broadcaster.places, [], "notifications");
  });

  test("saveEvents() rejects if its argument is not an array", async ({ open }) => {
    const store = await open();
    for (const events of [undefined, null, sample(), "text", new Set([sample()])]) {
      await rejects(() => store.saveEvents(events as never), "TypeError", `${events}`);
    }
    await isUntouched(store);
  });

  test("dates of all years come back to the millisecond", async ({ open }) => {
    const store = await open();
    const times = [0, -1, 1, 8.64e15, -8.64e15, -62167219200000, -62198755200001, 253402300800000];
    const events = times.map((time, at) => sample({ version: at + 1, timestamp: new Date(time) }));
    await store.saveEvents(events);
    await holds(store, events);
  });

  test("a date of the caller's own class is kept as its time", async ({ open }) => {
    class Local extends Date {
      override toISOString(): string {
        return "yesterday";
      }
    }
    const store = await open();
    const event = sample({ timestamp: new Local(5) });
    await store.saveEvent(event);
    await holds(store, [{ ...event, timestamp: new Date(5) }]);
  });
}

/** The limit of an event's size. */
export function sizes(test: StoreTest, maxBytes: number): void {
  test("an event that just fits is saved, one byte more is EventTooLargeError", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const fits = filled(sample(), maxBytes);
    await store.saveEvent(fits);
    const wide = filled(sample({ version: 2, data: "漢字é😀" }), maxBytes);
    await store.saveEvent(wide);
    const over = filled(sample({ version: 3 }), maxBytes + 1);
    const action = () => store.saveEvent(over);
    const error = await rejects<EventTooLargeError>(action, "EventTooLargeError");
    equal([error.size, error.limit], [maxBytes + 1, maxBytes], "size and limit");
    const batch = [sample({ actorId: "order-2" }), over];
    await rejects(() => store.saveEvents(batch), "EventTooLargeError");
    await holds(store, [fits, wide]);
    equal(await store.getEvents("order-2"), [], "events of order-2");
    equal(broadcaster.places.length, 2, "number of notifications");
  });

  test("the largest event fits with the longest ids and with guards", async ({ open }) => {
    const store = await open();
    const long = (letter: string) => letter.repeat(200);
    const actorId = long("a");
    const events = [1, Number.MAX_SAFE_INTEGER].map((version) =>
      filled(
        sample({ id: long(String(version).slice(0, 1)), eventType: long("t"), actorId, version }),
        maxBytes,
      )
    );
    const expect = [actorId, long("b"), long("c")].map((id) => ({ actorId: id, version: 0 }));
    await store.saveEvents(events, { expect });
    await holds(store, events);
  });
}

async function isUntouched(store: EventStore): Promise<void> {
  equal(await store.getEvents("order-1"), [], "events after a refusal");
  equal(await store.getLatestVersion("order-1", { fresh: true }), 0, "version after a refusal");
}
