import type { EventTooLargeError, InvalidEventError } from "../store/errors.ts";
import type { Event } from "../store/event.ts";
import type { EventStore } from "../store/store.ts";
import { equal, ok, rejects } from "./assert.ts";
import { holds, Recorder, sample, type Test } from "./event_store_kit.ts";

const encoder = new TextEncoder();

/** Data comes back as it was saved, or is refused. */
export function faithfulness(test: Test): void {
  test("data that JSON carries comes back as it was", async ({ open }) => {
    const store = await open();
    const shared = { twice: true };
    const data: unknown[] = [
      null,
      true,
      "",
      0,
      5e-324,
      Number.MAX_VALUE,
      -Number.MAX_SAFE_INTEGER,
      [],
      {},
      [[[null]], { a: [{}] }],
      Object.assign(Object.create(null), { bare: 1 }),
      [shared, shared],
      '\u0000\u2028\u2029\u00a0\ufeff\ufffd \r\n\t\\"',
      "lone \ud800 and \udfff surrogates",
      "😀 漢字 العربية é é",
      { "": 1, "a.b": 2, "*": 3, constructor: 4, toString: 5, length: 6, "\ud800": 7, toJSON: 8 },
      JSON.parse('{ "__proto__": { "polluted": true } }'),
      JSON.parse("[".repeat(400) + "]".repeat(400)),
    ];
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
    const cycle: unknown[] = [];
    cycle.push({ cycle });
    class Money {
      readonly amount: number = 1;
    }
    class List extends Array<unknown> {}
    const unfaithful: Record<string, unknown> = {
      "undefined": undefined,
      "NaN": NaN,
      "Infinity": Infinity,
      "-Infinity": -Infinity,
      "-0": -0,
      "a bigint": 1n,
      "a function": () => 1,
      "a symbol": Symbol("s"),
      "a hole": new Array(1),
      "an array with a name": Object.assign([1], { name: 1 }),
      "a cycle": cycle,
      "a Map": new Map(),
      "a Set": new Set(),
      "a Date": new Date(),
      "a RegExp": /x/,
      "an Error": new Error("e"),
      "a Uint8Array": new Uint8Array(1),
      "an ArrayBuffer": new ArrayBuffer(1),
      "a URL": new URL("http://localhost/"),
      "a promise": Promise.resolve(),
      "a boxed string": Object("s"),
      "a boxed number": Object(1),
      "a class instance": new Money(),
      "an instance of a subclass of Array": List.from([1]),
      "an object with toJSON": { toJSON: () => 1 },
      "an array with toJSON": Object.assign([], { toJSON: () => 1 }),
      "an object with a symbol as key": { [Symbol("s")]: 1 },
    };
    for (const [name, value] of Object.entries(unfaithful)) {
      const places: [string, unknown][] = [[name, value], [`${name} in an array`, [1, value]]];
      if (value !== undefined) places.push([`${name} in an object`, { deep: { x: value } }]);
      for (const [place, data] of places) {
        const action = () => store.saveEvent(sample({ data }));
        const { reason } = await rejects<InvalidEventError>(action, "InvalidEventError", place);
        ok(reason.startsWith("data"), `the reason begins with the place: ${reason}`);
      }
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
export function refusals(test: Test): void {
  test("ids, types, versions and timestamps that cannot be are refused", async ({ open }) => {
    const broadcaster = new Recorder();
    const store = await open({ broadcaster });
    const impossible = [undefined, null, 7, {}, "", "\ud800", "a\udc00b", "x".repeat(1024)];
    const versions = [0, -1, 0.5, NaN, Infinity, 2 ** 53, "1", null, undefined, 1n];
    const timestamps = [undefined, null, "2020-01-01", 0, new Date(NaN), {}];
    const wrong: [string, unknown][] = [
      ...["id", "eventType", "actorId"].flatMap((name) =>
        impossible.map((value): [string, unknown] => [name, value])
      ),
      ...versions.map((value): [string, unknown] => ["version", value]),
      ...timestamps.map((value): [string, unknown] => ["timestamp", value]),
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
    equal(broadcaster.places, [], "notifications");
  });

  test("saveEvents() of what is no array rejects", async ({ open }) => {
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
}

/** The limit of an event's size. */
export function sizes(test: Test, maxBytes: number): void {
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

/** `event` with data that makes it just `bytes` long. */
function filled(event: Event, bytes: number): Event {
  const start = typeof event.data === "string" ? event.data : "";
  const length = encoder.encode(JSON.stringify({ ...event, data: start })).length;
  return { ...event, data: start + "x".repeat(bytes - length) };
}

async function isUntouched(store: EventStore): Promise<void> {
  equal(await store.getEvents("order-1"), [], "events after a refusal");
  equal(await store.getLatestVersion("order-1", { fresh: true }), 0, "version after a refusal");
}
