import { assert, assertEquals } from "@std/assert";
import {
  appendEvents,
  createEvent,
  defineEvents,
  type Event,
  type EventsOf,
  FORGOTTEN,
  type Forgotten,
  InMemoryEventStore,
  InMemoryKeyStore,
  jsonCodec,
  schemaVersions,
  sealedCodec,
  unchecked,
} from "../../../store/mod.ts";

type Signed = Event<
  "Signed",
  | { readonly kind: "person"; readonly id: string; readonly name: string | Forgotten }
  | { readonly kind: "firm"; readonly firm: string }
>;

Deno.test("the compiler wants the sealed fields of all members of a union of data", async () => {
  const keys = new InMemoryKeyStore();
  // @ts-expect-error: nothing is sealed.
  sealedCodec<Signed>({ keys, fields: {} });
  // @ts-expect-error: name is missing.
  sealedCodec<Signed>({ keys, fields: { Signed: {} } });
  // @ts-expect-error: a person has no such field.
  sealedCodec<Signed>({ keys, fields: { Signed: { name: "firm" } } });
  sealedCodec<Signed>({ keys, fields: { Signed: { name: ({ data }) => data.id } } });
  const codec = sealedCodec<Signed>({ keys, fields: { Signed: { name: "id" } } });
  const place = { eventType: "Signed", actorId: "c-1" } as const;
  const data = { kind: "person", id: "p-1", name: "Ada" } as const;
  const person = createEvent<"Signed", Signed["data"]>({ ...place, version: 1, data });
  const bytes = await codec.encode(person);
  assert(!new TextDecoder().decode(bytes).includes('"Ada"'));
  assertEquals(await codec.decode(bytes), person);
  const firm = createEvent({ ...place, version: 2, data: { kind: "firm", firm: "Lovelace" } });
  assertEquals(codec.encode(firm), jsonCodec.encode(firm));
});

type Contact =
  | Event<"Registered" | "Moved", { readonly id: string; readonly name: string | Forgotten }>
  | Event<"Left", { readonly id: string }>;

Deno.test("the compiler wants the sealed fields of an event with one of several types", async () => {
  const keys = new InMemoryKeyStore();
  // @ts-expect-error: nothing is sealed.
  sealedCodec<Contact>({ keys, fields: {} });
  // @ts-expect-error: Moved has a name, too.
  sealedCodec<Contact>({ keys, fields: { Registered: { name: "id" } } });
  const codec = sealedCodec<Contact>({
    keys,
    fields: { Registered: { name: "id" }, Moved: { name: ({ data }) => data.id } },
  });
  const data = { id: "p-1", name: "Ada" };
  const moved = createEvent({ eventType: "Moved", actorId: "c-1", version: 1, data });
  assert(!new TextDecoder().decode(await codec.encode(moved)).includes('"Ada"'));
});

type First = { readonly customer: string; readonly address: string | Forgotten };
type Second = { readonly customer: string; readonly street: string | Forgotten };

Deno.test("a field is sealed in the shape of an older schema that is written, too", async () => {
  const placed = schemaVersions(unchecked<First>()).next(unchecked<Second>(), {
    up: ({ customer, address }): Second => ({ customer, street: address }),
    down: ({ customer, street }): First => ({ customer, address: street }),
  });
  const events = defineEvents({ Placed: placed.writes(1) });
  type Written = EventsOf<typeof events> | Event<"Placed", First>;
  const keys = new InMemoryKeyStore();
  // @ts-expect-error: what is stored has an address.
  sealedCodec<Written>({ keys, fields: { Placed: { street: "customer" } } });
  const codec = sealedCodec<Written>({
    keys,
    fields: { Placed: { address: "customer", street: "customer" } },
  });
  const stored: string[] = [];
  await using store = new InMemoryEventStore({
    events,
    codec: {
      async encode(event) {
        const bytes = await codec.encode(event);
        stored.push(new TextDecoder().decode(bytes));
        return bytes;
      },
      decode: (bytes) => codec.decode(bytes),
    },
  });
  const data = { customer: "c-1", street: "1 High Street" };
  await appendEvents<EventsOf<typeof events>>(store, "order-1", 0, [events.Placed(data)]);
  assert(!stored.join().includes("High Street"), stored.join());
  assertEquals((await store.getEvents("order-1"))[0]?.data, data);
  await codec.forget("c-1");
  const read = (await store.getEvents("order-1"))[0]?.data;
  assertEquals(read, { customer: "c-1", street: FORGOTTEN });
});
