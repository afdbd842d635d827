import { assert, assertEquals, assertMatch } from "@std/assert";
import { causedBy, createEvent, type Event } from "../../store/event.ts";
import { uuidv7 } from "../../store/base/uuid.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

Deno.test("createEvent() fills in an id and the present time, and keeps the rest", () => {
  const before = Date.now();
  const data = { total: 99.99 };
  const event = createEvent({
    eventType: "OrderPlaced",
    actorId: "order-123",
    version: 1,
    data,
    metadata: { userId: "u" },
  });
  const { id, timestamp, ...rest } = event;
  assertMatch(id, UUID_V7);
  assert(timestamp.getTime() >= before && timestamp.getTime() <= Date.now());
  assertEquals(rest, {
    eventType: "OrderPlaced",
    actorId: "order-123",
    version: 1,
    data: { total: 99.99 },
    metadata: { userId: "u" },
  });
});

Deno.test("createEvent() leaves metadata out if there are none", () => {
  const init = { eventType: "A", actorId: "a-1", version: 1, data: null };
  assert(!("metadata" in createEvent(init)));
});

Deno.test("createEvent() infers its type from the arguments, or takes a declared one", () => {
  type Placed = Event<"OrderPlaced", { total: number }>;
  type Sent = Event<"OrderSent", { carrier: string }>;
  const init = { actorId: "order-1", version: 1 };
  const inferred: Placed = createEvent({ ...init, eventType: "OrderPlaced", data: { total: 1 } });
  const declared = createEvent<Placed | Sent>({
    ...init,
    eventType: "OrderSent",
    data: { carrier: "c" },
  });
  // @ts-expect-error The data is that of the other type of the union.
  createEvent<Placed | Sent>({ ...init, eventType: "OrderSent", data: { total: 1 } });
  assertEquals([inferred.data.total, declared.eventType], [1, "OrderSent"]);
});

Deno.test("uuidv7() holds the time, sorts by it, and never repeats", () => {
  // The example of RFC 9562, appendix A.6: Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00.
  assertEquals(uuidv7(0x017f22e279b0).slice(0, 13), "017f22e2-79b0");
  assertEquals(uuidv7(0).slice(0, 13), "00000000-0000");
  assertEquals(uuidv7(2 ** 48 - 1).slice(0, 13), "ffffffff-ffff");
  const times = [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 1.7e12, 1.7e12 + 1, 2 ** 48 - 1];
  const ids = times.map((time) => uuidv7(time));
  assertEquals(ids.toSorted(), ids);
  for (const id of ids) assertMatch(id, UUID_V7);
  assertEquals(new Set(Array.from({ length: 10_000 }, () => uuidv7(1.7e12))).size, 10_000);
});

Deno.test("causedBy() carries correlation on, and begins it if there is none", () => {
  const init = { actorId: "a-1", version: 1, data: null };
  const first = createEvent({ ...init, eventType: "First" });
  const effect = createEvent({ ...init, eventType: "Second", metadata: { userId: "u" } });
  const second = causedBy(effect, first);
  assertEquals(second.metadata, { userId: "u", correlationId: first.id, causationId: first.id });
  const third = causedBy(createEvent({ ...init, eventType: "Third" }), second);
  assertEquals(third.metadata, { correlationId: first.id, causationId: second.id });
  assertEquals(effect.metadata, { userId: "u" }, "the original stays as it was");
});

Deno.test("caused() carries a trace on unless the event has its own", () => {
  const init = { actorId: "a-1", version: 1, data: null, eventType: "A" };
  const trace = { traceparent: "00-1-2-01", tracestate: "x=1" };
  const cause = createEvent({ ...init, metadata: trace });
  const ids = { correlationId: cause.id, causationId: cause.id };
  assertEquals(causedBy(createEvent(init), cause).metadata, { ...ids, ...trace });
  const own = { traceparent: "00-3-4-01" };
  assertEquals(causedBy(createEvent({ ...init, metadata: own }), cause).metadata, {
    ...ids,
    ...own,
  });
  const stateless = createEvent({ ...init, metadata: { traceparent: "00-1-2-01" } });
  assertEquals(causedBy(createEvent(init), stateless).metadata, {
    correlationId: stateless.id,
    causationId: stateless.id,
    traceparent: "00-1-2-01",
  });
});
