import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { EventTooLargeError, InvalidEventError } from "../../../store/errors.ts";
import { createEvent, type Event } from "../../../store/event.ts";
import { HEADER_ROOM } from "../../../store/format/layout.ts";
import { prepareEvents, prepareExpected } from "../../../store/check/events.ts";
import type { PreparedEvent } from "../../../store/format/encode.ts";

const LIMIT = 1024 * 1024;

function prepareJson(events: readonly Event[], maxBytes: number): PreparedEvent[] {
  return prepareEvents(events, { maxBytes, codec: undefined, upcasters: {} }) as PreparedEvent[];
}

function sample(init: Partial<Event> = {}): Event {
  return { ...createEvent({ eventType: "A", actorId: "a-1", version: 1, data: null }), ...init };
}

function reasonOf(event: unknown): string {
  return assertThrows(() => prepareJson([event as Event], LIMIT), InvalidEventError).reason;
}

Deno.test("a prepared event is a line of the JSON that other languages read", () => {
  const timestamp = new Date("2020-01-02T03:04:05.678Z");
  const data = { total: 99.99, gone: undefined };
  const event = sample({ id: "e", timestamp, data, metadata: { userId: "ü" } });
  const [prepared] = prepareJson([{ ...event, extra: 1 } as Event], LIMIT);
  assertEquals(
    new TextDecoder().decode(prepared!.body),
    '{"id":"e","eventType":"A","actorId":"a-1","version":1,"data":{"total":99.99},' +
      '"timestamp":"2020-01-02T03:04:05.678Z","metadata":{"userId":"ü"}}\n',
  );
});

Deno.test("a problem of an event is reported with its place", () => {
  assertEquals(reasonOf(sample({ id: "" })), 'id "" is empty');
  assertMatch(reasonOf(sample({ eventType: 7 as never })), /^eventType number is not a string/);
  assertMatch(reasonOf(sample({ actorId: "x".repeat(201) })), /^actorId "x+"… takes 201 bytes/);
  assertEquals(
    reasonOf(sample({ version: 0.5 })),
    "version 0.5 is not a safe integer of 1 or more",
  );
  assertEquals(reasonOf(sample({ timestamp: "now" as never })), 'timestamp is "now", not a Date');
  assertEquals(reasonOf(sample({ timestamp: new Date(NaN) })), "timestamp is no valid date");
  assertEquals(reasonOf(sample({ data: [NaN] })), "data[0] is NaN");
  const metadata = { own: { deep: 1 } as never };
  assertEquals(reasonOf(sample({ metadata })), "metadata.own is object, not a string");
  assertEquals(reasonOf(undefined), "it is undefined, not an event");
});

Deno.test("an object that only looks like a Date is refused, and a Date of another realm is not", () => {
  const lookalike = { [Symbol.toStringTag]: "Date", getTime: () => 0, toISOString: () => "never" };
  assertEquals(
    reasonOf(sample({ timestamp: lookalike as never })),
    "timestamp is object, not a Date",
  );
  const foreign = Object.setPrototypeOf(new Date(0), Object.create(Date.prototype));
  assertEquals(
    prepareJson([sample({ timestamp: foreign })], LIMIT)[0]!.timestamp.slice(0, 4),
    "1970",
  );
});

Deno.test("an event's size is that of its JSON in bytes without the line end, and headers have their room", () => {
  const bytes = JSON.stringify(sample({ data: "" })).length;
  const limit = bytes + 10 + HEADER_ROOM;
  const [fits] = prepareJson([sample({ data: "ü".repeat(5) })], limit);
  assertEquals(fits!.body.length, bytes + 10 + 1);
  const action = () => prepareJson([sample({ data: `x${"ü".repeat(5)}` })], limit);
  const error = assertThrows(action, EventTooLargeError);
  assertEquals([error.size, error.limit], [bytes + 11, bytes + 10]);
});

Deno.test("within a batch versions of one actor grow, and no id is in it twice", () => {
  const events = [
    sample({ version: 2 }),
    sample({ actorId: "b-1" }),
    sample({ version: 9 }),
  ];
  assertEquals(prepareJson(events, LIMIT).map(({ version }) => version), [2, 1, 9]);
  const turned = events.toReversed();
  assertThrows(() => prepareJson(turned, LIMIT), InvalidEventError, "follows version 9");
  const twice = [events[0]!, { ...events[1]!, id: events[0]!.id }];
  assertThrows(() => prepareJson(twice, LIMIT), InvalidEventError, "is twice in the batch");
});

Deno.test("expectations are kept by actor, and those that cannot be are RangeErrors", () => {
  const prepared = prepareJson([sample()], LIMIT);
  const expect = [{ actorId: "a-1", version: 0 }, { actorId: "b-1", version: 3 }];
  assertEquals([...prepareExpected(expect, prepared)], [["a-1", 0], ["b-1", 3]]);
  assertEquals([...prepareExpected(undefined, prepared)], []);
  assertThrows(() => prepareExpected([...expect, expect[0]!], prepared), RangeError, "twice");
  const guards = Array.from({ length: 1000 }, (_, at) => ({ actorId: `g-${at}`, version: 0 }));
  assertThrows(() => prepareExpected(guards, prepared), RangeError, "1001 messages");
});
