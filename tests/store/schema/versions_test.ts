import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { z } from "zod";
import {
  defineEvents,
  type EventsOf,
  InMemoryEventStore,
  type InvalidEventError,
  isAetherError,
  schemaVersions,
  unchecked,
} from "../../../mod.ts";

const first = schemaVersions(z.object({ cents: z.int() }));
const second = first.next(z.object({ total: z.number(), currency: z.string().default("EUR") }), {
  up: ({ cents }) => ({ total: cents / 100, currency: "EUR" }),
  down: ({ total }) => ({ cents: total * 100 }),
});

Deno.test("the compiler checks the steps between versions", () => {
  first.next(z.object({ total: z.number() }), {
    // @ts-expect-error -- the schema before has cents
    up: ({ euros }) => ({ total: euros }),
  });
  first.next(z.object({ total: z.number() }), {
    // @ts-expect-error -- a total is needed
    up: ({ cents }) => ({ totals: cents }),
  });
  first.next(unchecked<{ kind: "small" | "large" }>(), {
    // @ts-expect-error -- any text is no kind
    up: ({ cents }) => ({ kind: `${cents}` }),
  });
  second.next(unchecked<{ sum: number }>(), {
    up: ({ total }) => ({ sum: total }),
    // @ts-expect-error -- the currency is needed
    down: ({ sum }) => ({ total: sum }),
  });
  const events = defineEvents({ Placed: second });
  const data: EventsOf<typeof events>["data"] = events.Placed({ total: 1 }).data;
  assertEquals(data, { total: 1, currency: "EUR" });
  // @ts-expect-error -- that was the schema before
  assertThrows(() => events.Placed({ cents: 1 }));
});

Deno.test("versions that cannot be are refused at once", () => {
  const up = ({ cents }: { cents: number }) => ({ total: cents });
  const oneWay = first.next(z.object({ total: z.number() }), { up });
  assertThrows(
    () => oneWay.writes(1),
    TypeError,
    "the way from schema 2 back to schema 1 is missing",
  );
  assertThrows(() => oneWay.next(unchecked<number>(), { up: ({ total }) => total }).writes(1));
  oneWay.writes(2);
  for (const version of [0, 3, 1.5, NaN]) {
    assertThrows(() => oneWay.writes(version), RangeError, `Cannot write schema ${version}`);
  }
  assertThrows(() => first.next(unchecked(), {} as never), TypeError, "`up` is missing");
  assertThrows(() => first.next({} as never, { up }), TypeError, "Cannot add schema 2");
  assertThrows(() => schemaVersions(null as never), TypeError, "Cannot add schema 1");
  const upcasters = { Placed: [(data: unknown) => data] };
  const events = defineEvents({ Placed: second });
  assertThrows(() => new InMemoryEventStore({ events, upcasters }), TypeError, '"Placed"');
});

Deno.test("versions are a schema themselves, the newest one", () => {
  const standard = second["~standard"];
  assertEquals(standard.validate({ total: 1 }), { value: { total: 1, currency: "EUR" } });
  assertEquals(standard.vendor, "zod");
});

Deno.test("a step back that its schema refuses fails the save", async () => {
  const events = defineEvents({ Placed: second.writes(1) });
  await using store = new InMemoryEventStore({ events });
  const place = { actorId: "order-1", version: 1 };
  const error = assertThrows(() => events.Placed({ total: 0.001 })) as InvalidEventError;
  assertEquals(error.path, ["cents"]);
  assert(error.reason.startsWith('data.cents of "Placed" in schema 1: '), error.reason);
  const sound = events.Placed({ total: 1 }, place);
  const failure = await assertRejects(() => store.saveEvent({ ...sound, data: { total: 0.001 } }));
  assert(isAetherError(failure, "InvalidEventError"));
  await store.saveEvent(sound);
});

Deno.test("events of a type with plain upcasters are saved with their schema, and checked", async () => {
  const upcasters = { Placed: [({ cents }: { cents: number }) => ({ total: cents / 100 })] };
  const events = defineEvents({ Placed: z.object({ total: z.number() }) }, { checkReads: true });
  await using store = new InMemoryEventStore({ events, upcasters: upcasters as never });
  await store.saveEvent(events.Placed({ total: 1 }, { actorId: "order-1", version: 1 }));
  const [event] = await store.getEvents("order-1");
  assertEquals(event?.data, { total: 1 });
});
