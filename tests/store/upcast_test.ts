import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  isAetherError,
  JetStreamEventStore,
  streamSequenceOf,
  type Upcasters,
} from "../../store/mod.ts";
import { schemaOf, upcast } from "../../store/upcast.ts";
import { eventStoreSuite } from "../../testing/event_store/suite.ts";
import { fact } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import { redeployed } from "../support/redeployed.ts";

const UPCASTING = new Set([
  "events of all ages are in the newest shape on every way to read",
  "what is stored stays as it was",
  "what newer code saved is UnknownSchemaError to older code",
  "a step that fails is CorruptEventError, with its place",
  "what is forgotten is not brought up to date",
]);

eventStoreSuite({
  test: (name, run) => {
    if (UPCASTING.has(name)) Deno.test(`InMemoryEventStore, deployed again: ${name}`, run);
  },
  create: redeployed(),
  capabilities: { reopen: true, maxBytes: undefined },
});

Deno.test("Each step gets the event as the step before has left it", () => {
  const seen: unknown[] = [];
  const step = (data: unknown, event: { data: unknown }) => {
    seen.push([data, event.data]);
    return `${data}+`;
  };
  const upcasters: Upcasters = { Happened: [step, step, step] };
  const event = fact("order-1", 1, "a");
  assertEquals(upcast(upcasters, event, 2, { sequence: 7 }), { ...event, data: "a++" });
  assertEquals(seen, [["a", "a"], ["a+", "a+"]]);
  assertEquals(event.data, "a");
  assertEquals(schemaOf(upcasters, "Happened"), 4);
  assertEquals(schemaOf(upcasters, "toString"), 1);
  assertEquals(upcast(upcasters, event, 4, { sequence: 7 }), event);
  assertThrows(() => upcast(upcasters, event, 5, { sequence: 7 }), Error, "has schema 5");
});

natsTest("Saves of older code are in the stream byte by byte as they were", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const upcasters = { Happened: [(data: unknown) => ({ ...data as object, more: 1 })] };
  await using older = await JetStreamEventStore.open(connection, { namespace });
  const { sequence } = await older.saveEvent(fact("order-1", 1));
  const lies = async (sequence: number) => {
    const query = JSON.stringify({ seq: streamSequenceOf(sequence) });
    const answer = await connection.request(`$JS.API.STREAM.MSG.GET.${older.stream}`, query);
    const { message } = answer.json<{ message: { hdrs: string; data: string } }>();
    return { headers: atob(message.hdrs), body: atob(message.data) };
  };
  const before = await lies(sequence);
  await using newer = await JetStreamEventStore.open(await scene.connect(), {
    namespace,
    upcasters,
  });
  assertEquals((await newer.getEvents("order-1"))[0]!.data, { version: 1, more: 1 });
  assertEquals(await lies(sequence), before);
  assertEquals(/Aether-Schema/.test(before.headers), false);
  const own = await newer.saveEvent(fact("order-1", 2));
  assertEquals(/\r\nAether-Schema: *2\r\n/.test((await lies(own.sequence)).headers), true);
  // One message may hold events of several schemas.
  const mixed = await newer.saveEvents([3, 4, 5].map((version) => {
    return { ...fact("order-1", version), eventType: version === 4 ? "Happened" : "Other" };
  }));
  const written = await lies(mixed.sequence);
  assertEquals(/\r\nAether-Schema: *1 2 1\r\n/.test(written.headers), true);
  const error = await assertRejects(() => older.getEvents("order-1"));
  assertEquals(isAetherError(error, "UnknownSchemaError"), true);
});
