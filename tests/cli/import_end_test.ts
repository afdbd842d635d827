/**
 * Imports that end at a line: what is before it is saved, nothing behind it, and a dry run tells the same.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ImportError, importEvents } from "../../cli/main.ts";
import {
  type Event,
  type EventStore,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  sealedCodec,
} from "../../store/mod.ts";
import { ForwardingEventStore } from "../../store/forwarding_store.ts";
import { natsTest } from "../support/fixture.ts";
import { assertVerified } from "../support/verified.ts";
import { FIELDS, MovedKeys, registered, type ShopEvent } from "../store/sealing/shop.ts";

const line = (actorId: string, version: number, init: Record<string, unknown> = {}) =>
  JSON.stringify({
    ...{ id: `${actorId}-${version}`, eventType: "Placed", actorId, version, data: version },
    ...{ timestamp: "2026-01-01T00:00:00.000Z", ...init },
  });

async function idsIn(store: EventStore): Promise<string[]> {
  return (await Array.fromAsync(store.readAll())).map(({ id }) => id);
}

/** The third of the lines, which no store takes, and another commit before it. */
const BAD: Record<string, string> = {
  "no JSON": "{",
  "an actor that no store takes": line("x".repeat(300), 2),
  "an id that no store takes": line("a", 2, { id: "x".repeat(300) }),
  "metadata that is no text": line("a", 2, { metadata: { x: 5 } }),
  "metadata that is no object": line("a", 2, { metadata: "text" }),
  "too many bytes": line("a", 2, { data: "x".repeat(2_000_000) }),
  "a version that comes again": line("a", 1),
  "an event where another one is": line("c", 1, { id: "other" }),
};

for (const [what, bad] of Object.entries(BAD)) {
  const lines = [line("a", 1), line("b", 1), bad, line("a", 3), line("b", 2), line("d", 1)];
  const check = async (store: EventStore) => {
    await store.saveEvent({ ...JSON.parse(line("c", 1)), timestamp: new Date() });
    for (const dryRun of [true, false]) {
      const error = await assertRejects(() => importEvents(store, lines, { dryRun }), ImportError);
      assertEquals(error.line, 3);
      assertEquals(await idsIn(store), dryRun ? ["c-1"] : ["c-1", "a-1", "b-1"]);
    }
    const repaired = lines.with(2, line("a", 2));
    assertEquals(await importEvents(store, repaired), {
      saved: 4,
      present: 2,
      forgotten: 0,
      moved: 0,
    });
    assertEquals(await idsIn(store), ["c-1", "a-1", "b-1", "a-2", "a-3", "b-2", "d-1"]);
  };
  Deno.test(`nothing behind ${what} is imported, and what is before it is`, async () => {
    await using store = new InMemoryEventStore();
    await check(store);
  });
  natsTest(`nothing behind ${what} is imported into NATS`, async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await check(store);
  });
}

Deno.test("a commit is imported as a whole or not at all", async () => {
  await using store = new InMemoryEventStore();
  const commit = { commit: "one" };
  const lines = [line("a", 1), line("b", 1, commit), "{", line("b", 2, commit)];
  await assertRejects(() => importEvents(store, lines), ImportError, "line 3");
  assertEquals(await idsIn(store), ["a-1"]);
  const others = [line("b", 1, commit), line("c", 1, { timestamp: "soon", commit: "two" })];
  await assertRejects(() => importEvents(store, others), ImportError, "line 2");
  assertEquals(await idsIn(store), ["a-1", "b-1"]);
});

Deno.test("an actor has no hole where a save fails in the middle, and the import is repeated", async () => {
  await using inner = new InMemoryEventStore();
  /** Refuses one event, as a server could. */
  class Failing extends ForwardingEventStore {
    fails = true;
    override async saveEvents(...args: Parameters<EventStore["saveEvents"]>) {
      if (this.fails && args[0][0]!.version === 2) throw new Error("refused");
      return await super.saveEvents(...args);
    }
  }
  const store = new Failing(inner);
  const lines = [1, 2, 3, 4].map((version) => line("a", version));
  await assertRejects(() => importEvents(store, lines), ImportError, "line 2: refused");
  assertEquals(await idsIn(store), ["a-1"]);
  store.fails = false;
  assertEquals(await importEvents(store, lines), { saved: 3, present: 1, forgotten: 0, moved: 0 });
});

natsTest("an import keeps the order of all events, of interleaved actors too", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace });
  const lines = Array.from({ length: 700 }, (_, at) => line(`a-${at % 40}`, 1 + at));
  assertEquals(await importEvents(store, lines), {
    saved: 700,
    present: 0,
    forgotten: 0,
    moved: 0,
  });
  assertEquals(await idsIn(store), lines.map((it) => JSON.parse(it).id));
  await assertVerified(connection, namespace);
});

natsTest("an import keeps the order with a codec that takes its time", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const codec = sealedCodec<ShopEvent>({ keys: new MovedKeys(), fields: FIELDS });
  await using store = await JetStreamEventStore.open(connection, { namespace, codec });
  const lines = Array.from({ length: 300 }, (_, at) => {
    const event: Event = registered(String(at));
    return JSON.stringify(at % 3 === 0 ? event : { ...event, eventType: "Counted" });
  });
  assertEquals(await importEvents(store, lines), {
    saved: 300,
    present: 0,
    forgotten: 0,
    moved: 0,
  });
  assertEquals(await idsIn(store), lines.map((it) => JSON.parse(it).id));
});

Deno.test("keys that are out of reach end an import, and are no error of the line", async () => {
  const keys = new MovedKeys();
  await using store = new InMemoryEventStore({
    codec: sealedCodec<ShopEvent>({ keys, fields: FIELDS }),
  });
  keys.fails = () => Promise.reject(new Error("down"));
  const lines = ["a", "b"].map((customer) => JSON.stringify(registered(customer)));
  assertEquals((await importEvents(store, lines, { dryRun: true })).saved, 2);
  assertEquals(keys.calls, 0, "a dry run makes no keys");
  const error = await assertRejects(() => importEvents(store, lines));
  assert(isAetherError(error, "StoreUnavailableError"), String(error));
  keys.fails = undefined;
  assertEquals((await importEvents(store, lines)).saved, 2);
});
