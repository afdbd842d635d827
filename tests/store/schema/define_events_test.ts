import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as v from "valibot";
import { z } from "zod";
import {
  appendEvents,
  type Decider,
  defineEvents,
  type Event,
  type EventFilter,
  type EventsOf,
  execute,
  executeAll,
  InMemoryEventStore,
  type InvalidEventError,
  isAetherError,
  rehydrate,
  type StandardSchema,
  unchecked,
  type Upcasters,
} from "../../../mod.ts";

const events = defineEvents({
  OrderPlaced: z.object({
    lines: z.array(z.object({ sku: z.string().trim(), pieces: z.int().positive() })),
    currency: z.string().default("EUR"),
  }),
  OrderShipped: v.object({ carrier: v.string() }),
  "order.closed": unchecked<null>(),
});
type OrderEvent = EventsOf<typeof events>;
type Command = { place: number } | { ship: string } | { raw: string };

/** Decides by a constructor, or by a draft of its own. */
const order: Decider<unknown[], Command, OrderEvent> = {
  initialState: () => [],
  evolve: (seen, { data }) => [...seen, data],
  decide: (command) => {
    if ("raw" in command) {
      const lines = [{ sku: command.raw, pieces: 1 }];
      return { eventType: "OrderPlaced", data: { lines } as never };
    }
    return "place" in command
      ? events.OrderPlaced({ lines: [{ sku: "pen", pieces: command.place }] })
      : [events.OrderShipped({ carrier: command.ship }), events["order.closed"](null)];
  },
};

async function refusal(action: Promise<unknown>): Promise<InvalidEventError> {
  const error = await assertRejects(() => action, Error);
  assert(isAetherError(error, "InvalidEventError"), String(error));
  return error;
}

Deno.test("the compiler knows the types, and refuses a name or data that is none", () => {
  const known: OrderEvent["eventType"][] = ["OrderPlaced", "OrderShipped", "order.closed"];
  // @ts-expect-error -- no such type
  const _misspelt: OrderEvent["eventType"] = "OrderPlacd";
  // @ts-expect-error -- no such type
  assertEquals(events.OrderPlacd, undefined);
  // @ts-expect-error -- a number is needed
  assertThrows(() => events.OrderPlaced({ lines: [{ sku: "pen", pieces: "1" }] }));
  // @ts-expect-error -- data is needed
  assertThrows(() => events.OrderShipped());
  // @ts-expect-error -- an event has a version
  events.OrderShipped({ carrier: "fast" }, { actorId: "order-1" });
  const draft = events.OrderPlaced({ lines: [] });
  const currency: string = draft.data.currency;
  // @ts-expect-error -- a draft has no version
  assertEquals(draft.version, undefined);
  const event: Event<"OrderShipped", { carrier: string }> = events.OrderShipped(
    { carrier: "fast" },
    { actorId: "order-1", version: 1 },
  );
  assertEquals([known.length, currency, event.version], [3, "EUR", 1]);

  const sound: Upcasters<OrderEvent> = { OrderPlaced: [(data) => data] };
  // @ts-expect-error -- no such type
  const _unsound: Upcasters<OrderEvent> = { OrderPlacd: [(data: unknown) => data] };
  const filter: EventFilter<OrderEvent> = { eventTypes: ["order.closed"] };
  // @ts-expect-error -- no such type
  const _narrow: EventFilter<OrderEvent> = { eventTypes: ["OrderPlacd"] };
  const wide: EventFilter = filter;
  assertEquals(wide.eventTypes?.length, 1);
  void new InMemoryEventStore({ events, upcasters: sound });

  // @ts-expect-error -- events are checked more than once, and the output is no input
  defineEvents({ Counted: z.string().transform((text) => text.length) });
  // @ts-expect-error -- a draft of another type
  const _draft: ReturnType<typeof order.decide> = { eventType: "OrderPlacd", data: null };
});

Deno.test("a constructor makes an event or a draft of the data that the schema gives", () => {
  const data = { lines: [{ sku: " pen ", pieces: 1 }] };
  const checked = { lines: [{ sku: "pen", pieces: 1 }], currency: "EUR" };
  const metadata = { userId: "u" };
  assertEquals(events.OrderPlaced(data), { eventType: "OrderPlaced", data: checked });
  assertEquals(events.OrderPlaced(data, { metadata, id: "a" }), {
    ...{ eventType: "OrderPlaced", data: checked, metadata, id: "a" },
  });
  const event = events.OrderPlaced(data, { actorId: "order-1", version: 2, metadata });
  const { id, timestamp, ...rest } = event;
  assertEquals(rest, {
    ...{ eventType: "OrderPlaced", actorId: "order-1", version: 2, data: checked, metadata },
  });
  assert(id.length > 0 && timestamp instanceof Date);
  assertEquals(data.lines[0]!.sku, " pen ");
  const error = assertThrows(() =>
    events.OrderPlaced({ lines: [{ sku: "pen", pieces: 0.5 }, { sku: "ink", pieces: -1 }] })
  ) as InvalidEventError;
  assertEquals(error.path, ["lines", 0, "pieces"]);
  assertEquals(error.issues.map(({ path }) => path), [["lines", 0, "pieces"], [
    "lines",
    1,
    "pieces",
  ]]);
  assertEquals(error.reason.split(": ")[0], 'data.lines[0].pieces of "OrderPlaced"');
});

Deno.test("what a store keeps, and what a decider's state is made of, is what the schema gives", async () => {
  await using store = new InMemoryEventStore({ events });
  const checked = { lines: [{ sku: "pen", pieces: 1 }], currency: "EUR" };
  const first = await execute(store, "order-1", order, { raw: " pen " });
  assertEquals(first.state, [checked]);
  assertEquals(first.events.map(({ data }) => data), [checked]);
  const second = await execute(store, "order-1", order, { ship: "fast" });
  assertEquals(second.state, [checked, { carrier: "fast" }, null]);
  const [joint] = await executeAll(store, [
    { actorId: "order-2", decider: order, command: { raw: " pen " } },
  ]);
  assertEquals(joint.state, [checked]);
  const appended = await appendEvents(store, "order-3", 0, [
    { eventType: "OrderPlaced", data: { lines: [{ sku: " pen ", pieces: 1 }] } },
  ]);
  assertEquals(appended.events[0]!.data, checked);
  for (const actorId of ["order-1", "order-2", "order-3"]) {
    const [stored] = await store.getEvents(actorId);
    assertEquals(stored!.data, checked, actorId);
  }
  const { state } = await rehydrate(store, "order-1", order);
  assertEquals(state, second.state);
  // Saving what was saved is no conflict, though it is checked again.
  assertEquals((await store.saveEvents(first.events)).duplicate, true);
});

Deno.test("what a schema refuses is refused with its place, whichever way it comes", async () => {
  await using store = new InMemoryEventStore({ events });
  const bad = { lines: [{ sku: "pen", pieces: "many" }] } as never;
  const draft = { eventType: "OrderPlaced", data: bad } as const;
  const decider = { ...order, decide: () => [{ ...draft }] };
  const place = { actorId: "order-1", version: 1 };
  const good = events.OrderShipped({ carrier: "fast" }, place);
  const calls = [
    execute(store, "order-1", decider, null as never),
    executeAll(store, [{ actorId: "order-1", decider, command: null }]),
    appendEvents(store, "order-1", 0, [draft]),
    store.saveEvent({ ...good, ...draft }),
    store.saveEvents([good, { ...good, ...draft, id: "b", version: 2 }]),
  ];
  for (const [at, call] of calls.entries()) {
    const error = await refusal(call);
    assertEquals(error.path, ["lines", 0, "pieces"], `call ${at}`);
    assert(error.reason.includes('data.lines[0].pieces of "OrderPlaced": '), error.reason);
    assertEquals(error.reason.startsWith("events[1]: "), at === 4);
  }
  const unknown = await refusal(store.saveEvent({ ...good, eventType: "OrderPlacd" }));
  assertEquals(
    unknown.message,
    'Cannot take event: eventType "OrderPlacd" is not defined; defineEvents() has "OrderPlaced", ' +
      '"OrderShipped", "order.closed"',
  );
  assertEquals(unknown.path, undefined);
  // Only the rules on data hold for the rest.
  const other = { ...good, eventType: "order.closed", data: NaN };
  assertEquals((await refusal(store.saveEvent(other))).reason, "data is NaN");
  assertEquals(await store.getEvents("order-1"), []);
});

Deno.test("a command that a group saves together fails alone", async () => {
  await using store = new InMemoryEventStore({ events });
  const outcomes = await Promise.allSettled(
    ["a", 1, "b"].map((raw) => execute(store, "order-1", order, { raw: raw as string })),
  );
  assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assertEquals((await store.getEvents("order-1")).length, 2);
});

Deno.test("a schema that cannot be used says so at its first event", async () => {
  const later = (value: unknown) => Promise.resolve({ value });
  const standard = (validate: (value: unknown) => unknown) =>
    ({ "~standard": { version: 1, vendor: "mine", validate } }) as StandardSchema<number>;
  const slips: [string, StandardSchema<number>][] = [
    ["its schema is asynchronous", standard(later)],
    ["its schema is asynchronous", standard(() => Promise.reject(new Error("no")))],
    ["it changes what it has let pass", standard((value) => ({ value: value as number + 1 }))],
    ["it refuses what it has let pass", {
      "~standard": {
        ...standard(later)["~standard"],
        validate: (value) => value === 1 ? { value: 2 } : { issues: [{ message: "not 1" }] },
      },
    }],
  ];
  for (const [reason, schema] of slips) {
    const events = defineEvents({ Counted: schema });
    assertThrows(() => events.Counted(1), TypeError, reason);
    await using store = new InMemoryEventStore({ events });
    const counted = { eventType: "Counted", data: 1 };
    for (const _ of [1, 2]) {
      const action = () => appendEvents(store, "counter-1", 0, [counted]);
      const error = await assertRejects(action, TypeError, reason);
      assert(!isAetherError(error));
    }
  }
  const thrown = defineEvents({
    Counted: standard(() => {
      throw new Error("no luck");
    }),
  });
  const error = assertThrows(() => thrown.Counted(1), Error) as InvalidEventError;
  assertEquals(error.reason, 'data of "Counted": its schema failed: no luck');
});

Deno.test("definitions that are none are refused at once", () => {
  for (const schema of [null, undefined, 1, {}, { parse: () => 1 }, { "~standard": {} }]) {
    assertThrows(() => defineEvents({ Placed: schema as never }), TypeError, "Standard Schema");
  }
  assertThrows(() => defineEvents({ "": z.null() } as never), TypeError, "it is empty");
  assertThrows(() => defineEvents({ jsonSchema: z.null() } as never), TypeError, "is the name");
  const foreign = { jsonSchema: () => ({}) };
  assertThrows(() => new InMemoryEventStore({ events: foreign }), TypeError, "defineEvents()");
});
