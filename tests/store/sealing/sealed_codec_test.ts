import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  type Codec,
  createEvent,
  type Event,
  FORGOTTEN,
  InMemoryEventStore,
  InMemoryKeyStore,
  isAetherError,
  jsonCodec,
  sealedCodec,
} from "../../../store/mod.ts";
import { FIELDS, type Given, given, MovedKeys, registered, type ShopEvent } from "./shop.ts";

/** A store whose bytes a test can see and change. */
function open(codec: Codec<Event>) {
  const bodies: string[] = [];
  let tamper = (text: string): string => text;
  const store = new InMemoryEventStore({
    codec: {
      async encode(event) {
        const bytes = await codec.encode(event);
        bodies.push(new TextDecoder().decode(bytes));
        return bytes;
      },
      decode: (bytes) =>
        codec.decode(new TextEncoder().encode(tamper(new TextDecoder().decode(bytes)))),
    },
  });
  return { store, bodies, tamper: (change: typeof tamper) => void (tamper = change) };
}

Deno.test("sealed fields are stored sealed, and read as they were saved", async () => {
  const codec = sealedCodec<ShopEvent>({ keys: new InMemoryKeyStore(), fields: FIELDS });
  const { store, bodies } = open(codec);
  await using _ = store;
  const events = [registered("a"), given()];
  await store.saveEvents(events);
  assertEquals(await store.getEvents("customer-a"), [events[0]!]);
  assertEquals(await store.getEvents("present-1"), [events[1]!]);
  for (const secret of ['"Ada"', "example.com", 'wish":"a', "High Street"]) {
    assert(!bodies.join().includes(secret), secret);
  }
  assertMatch(bodies.join(), /"plan":"free"/); // Either may have been sealed first.
});

Deno.test("a forgotten subject's fields read as FORGOTTEN, over all actors, and no others", async () => {
  const codec = sealedCodec<ShopEvent>({ keys: new InMemoryKeyStore(), fields: FIELDS });
  await using store = new InMemoryEventStore({ codec });
  await store.saveEvents([registered("a"), registered("b", 1, "Bob"), given()]);
  const report = await codec.forget("a");
  assertEquals([report.subject, report.dropped], ["a", true]);
  assertEquals((await codec.forget("a")).dropped, false);
  const read: unknown[] = [];
  for await (const { data } of store.readAll()) read.push(data);
  assertEquals(read, [
    { customer: "a", plan: "free", name: FORGOTTEN, email: FORGOTTEN },
    registered("b", 1, "Bob").data,
    { ...given().data, wish: FORGOTTEN },
  ]);
  const [present] = await store.getEvents<Given>("present-1");
  // @ts-expect-error: who reads a sealed field has to think of FORGOTTEN.
  present!.data.wish.length;
});

Deno.test("nothing is saved of a forgotten subject, and no new key is made for it", async () => {
  const keys = new InMemoryKeyStore();
  const codec = sealedCodec<ShopEvent>({ keys, fields: FIELDS });
  await using store = new InMemoryEventStore({ codec });
  await store.saveEvent(registered("a"));
  await codec.forget("a");
  const error = await assertRejects(() => store.saveEvent(registered("a", 2)));
  assert(isAetherError(error, "InvalidEventError"), String(error));
  assertMatch(error.message, /subject "a" is forgotten, so that name, email cannot be sealed/);
  assertEquals(await store.getLatestVersion("customer-a"), 1);
  assertEquals(await keys.getOrCreate("a"), FORGOTTEN);
  // What holds none of its fields goes on.
  const data = { customer: "a", plan: "gone" };
  await store.saveEvent(
    createEvent({ actorId: "customer-a", eventType: "Registered", version: 2, data }),
  );
  assertEquals((await store.getEvents("customer-a", 2))[0]?.data, data);
});

Deno.test("a key that another process uses is gone there after cacheMaxAge", async () => {
  const keys = new InMemoryKeyStore();
  let now = 0;
  const here = sealedCodec<ShopEvent>({ keys, fields: FIELDS });
  const there = sealedCodec<ShopEvent>({
    ...{ keys, fields: FIELDS, cacheMaxAge: 100, now: () => now },
  });
  await using store = new InMemoryEventStore({ codec: there });
  await store.saveEvent(registered("a"));
  await here.forget("a");
  const nameRead = async () =>
    (await store.getEvents<ReturnType<typeof registered>>("customer-a"))[0]?.data.name;
  now = 99;
  assertEquals(await nameRead(), "Ada");
  await store.saveEvent(registered("a", 2)); // under the dropped key
  now = 100;
  assertEquals(await nameRead(), FORGOTTEN);
  assertEquals(
    (await store.getEvents<ReturnType<typeof registered>>("customer-a", 2))[0]?.data.name,
    FORGOTTEN,
  );
});

Deno.test("keys are cached up to cacheSize, and a failure is not", async () => {
  const keys = new MovedKeys();
  const codec = sealedCodec<ShopEvent>({ keys, fields: FIELDS, cacheSize: 2 });
  await using store = new InMemoryEventStore({ codec });
  for (const version of [1, 2]) await store.saveEvent(registered("a", version));
  assertEquals(keys.calls, 1);
  for (const customer of ["b", "c"]) await store.saveEvent(registered(customer));
  await store.getEvents("customer-a");
  assertEquals(keys.calls, 4);
});

for (
  const [how, fails] of Object.entries({
    rejects: () => Promise.reject(new Error("no route")),
    throws: () => {
      throw new Error("no route");
    },
    "never answers": () => new Promise<never>(() => {}),
  })
) {
  Deno.test(`a key store that ${how} is StoreUnavailableError, and never forgotten`, async () => {
    const keys = new MovedKeys();
    const options = { keys, fields: FIELDS, cacheMaxAge: 0, timeout: 20 };
    const codec = sealedCodec<ShopEvent>(options);
    await using store = new InMemoryEventStore({ codec });
    await store.saveEvent(registered("a"));
    keys.fails = fails;
    const calls: [string, () => Promise<unknown>][] = [
      ["save", () => store.saveEvent(registered("a", 2))],
      ["getEvents", () => store.getEvents("customer-a")],
      ["getEventsWithErrors", () => store.getEventsWithErrors("customer-a")],
      ["readAll", () => Array.fromAsync(store.readAll())],
      ["forget", () => codec.forget("a")],
    ];
    for (const [call, run] of calls) {
      const error = await assertRejects(run);
      assert(isAetherError(error, "StoreUnavailableError"), `${call}: ${error}`);
    }
    keys.fails = undefined;
    assertEquals((await store.getEvents("customer-a")).length, 1);
    await store.saveEvent(registered("a", 2));
    assertEquals((await codec.forget("a")).dropped, true);
  });
}

Deno.test("what was altered, moved, or has another key is CorruptEventError", async () => {
  const keys = new InMemoryKeyStore();
  const codec = sealedCodec<ShopEvent>({ keys, fields: FIELDS });
  const { store, tamper, bodies } = open(codec);
  await using _ = store;
  for (const version of [1, 2]) await store.saveEvent(registered("a", version));
  const sealed = JSON.parse(bodies[1]!).sealed;
  const changes: Record<string, (body: { sealed: { text: string; subject: string }[] }) => void> = {
    altered: ({ sealed: [part] }) =>
      part!.text = (part!.text[0] === "A" ? "B" : "A") + part!.text.slice(1),
    cut: ({ sealed: [part] }) => part!.text = part!.text.slice(0, 8),
    "no base64": ({ sealed: [part] }) => part!.text = "?",
    moved: (body) => body.sealed = sealed,
    "no key": ({ sealed: [part] }) => part!.subject = "nobody",
    damaged: (body) => body.sealed = [5 as never],
  };
  for (const [name, change] of Object.entries(changes)) {
    tamper((text) => {
      const body = JSON.parse(text);
      if (body.version === 1) change(body);
      return JSON.stringify(body);
    });
    const error = await assertRejects(() => store.getEvents("customer-a"));
    assert(isAetherError(error, "CorruptEventError"), `${name}: ${error}`);
    assert(!error.message.includes("Ada"));
  }
  tamper((text) => text);
  assertEquals((await store.getEvents("customer-a")).length, 2);
  // The same bytes under the keys of another key store.
  const others = new InMemoryKeyStore();
  await others.getOrCreate("a");
  const other = sealedCodec<ShopEvent>({ keys: others, fields: FIELDS });
  await assertRejects(
    async () => await other.decode(new TextEncoder().encode(bodies[0]!)),
    TypeError,
    "another key",
  );
});

Deno.test("a sealed field without a subject is refused, and never stored open", async () => {
  const codec = sealedCodec<ShopEvent>({ keys: new InMemoryKeyStore(), fields: FIELDS });
  await using store = new InMemoryEventStore({ codec });
  const event = registered("a");
  for (const customer of ["", undefined, 5, "x".repeat(300)]) {
    const bad = { ...event, data: { ...event.data, customer } };
    const error = await assertRejects(() => store.saveEvent(bad as never));
    assert(isAetherError(error, "InvalidEventError"), String(error));
  }
  for (const data of [null, "text", [1]]) {
    const error = await assertRejects(() => store.saveEvent({ ...event, data }));
    assertMatch((error as Error).message, /not an object with fields/);
  }
});

Deno.test("the rules on data hold with a codec, unless it is lenient", async () => {
  const codec = sealedCodec<ShopEvent>({ keys: new InMemoryKeyStore(), fields: FIELDS });
  const bad = (data: unknown) => ({ ...registered("a"), data });
  for (const keeping of [codec, jsonCodec, { ...jsonCodec, lenient: false }]) {
    await using store = new InMemoryEventStore({ codec: keeping });
    for (const data of [{ customer: "a", name: NaN }, { at: new Date() }, { name: FORGOTTEN }]) {
      const error = await assertRejects(() => store.saveEvent(bad(data)));
      assert(isAetherError(error, "InvalidEventError"), String(error));
    }
  }
  await using store = new InMemoryEventStore({ codec: { ...jsonCodec, lenient: true } });
  await store.saveEvent(bad({ at: new Date(0) }));
  assertEquals((await store.getEvents("customer-a"))[0]?.data, { at: new Date(0).toISOString() });
});

Deno.test("a report has a date also if keys are used for ever", async () => {
  const cacheMaxAge = Number.MAX_SAFE_INTEGER;
  const codec = sealedCodec({ keys: new InMemoryKeyStore(), fields: {}, cacheMaxAge });
  assertEquals((await codec.forget("a")).everywhereBy.getTime(), 8.64e15);
});

Deno.test("events without sealed fields are encoded at once, as without the codec", async () => {
  const keys = new MovedKeys();
  const codec = sealedCodec<ShopEvent>({ keys, fields: FIELDS });
  const data = { count: 1 };
  const event = createEvent({ actorId: "n-1", eventType: "Counted", version: 1, data });
  const bytes = codec.encode(event);
  assert(bytes instanceof Uint8Array);
  assertEquals(bytes, jsonCodec.encode(event));
  assertEquals(codec.decode(bytes), event);
  assertEquals(keys.calls, 0);
  await Promise.resolve();
});

Deno.test("fields that cannot be sealed are refused at once", () => {
  const keys = new InMemoryKeyStore();
  const make = (fields: unknown) => () => sealedCodec({ keys, fields: fields as never });
  for (const fields of [null, 5, { A: null }, { A: { name: 5 } }, { A: { b: "c", c: "d" } }]) {
    assertThrows(make(fields), TypeError, "Cannot make a sealed codec");
  }
  assertThrows(() => sealedCodec({ keys, fields: {}, cacheMaxAge: -1 }), RangeError);
  // @ts-expect-error: a misspelt type, and one without its fields.
  sealedCodec<ShopEvent>({ keys, fields: { ...FIELDS, Registred: { name: "customer" } } as const });
  // @ts-expect-error: email is missing.
  sealedCodec<ShopEvent>({ keys, fields: { ...FIELDS, Registered: { name: "customer" } } });
});
