import { assert, assertEquals, assertRejects } from "@std/assert";
import { parse, stringify } from "devalue";
import { z } from "zod";
import {
  createEvent,
  type Decider,
  defineEvents,
  type EventsOf,
  execute,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  rehydrate,
  richJsonCodec,
} from "../../mod.ts";
import { fact } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";

const codec = richJsonCodec({ stringify, parse });
const RICH = {
  due: new Date(5),
  pieces: new Map<unknown, unknown>([["pen", 2n], ["all", new Set([1, new Date(6)])]]),
  bytes: new Uint8Array([1, 2]),
  missing: undefined,
  nothing: -0,
};

Deno.test("rich data is stored and read as it was, and other data as without the codec", async () => {
  const bodies: string[] = [];
  const watching = {
    ...codec,
    encode: (event: Parameters<typeof codec.encode>[0]) => {
      const bytes = codec.encode(event);
      bodies.push(new TextDecoder().decode(bytes));
      return bytes;
    },
  };
  await using store = new InMemoryEventStore({ codec: watching });
  const rich = { ...fact("order-1", 1), data: RICH };
  const plain = fact("order-1", 2, { total: 1 });
  await store.saveEvents([rich, plain]);
  assertEquals(await store.getEvents<typeof rich>("order-1"), [rich, plain as typeof rich]);
  assertEquals(JSON.parse(bodies[1]!), JSON.parse(JSON.stringify(plain)));
  assertEquals(JSON.parse(bodies[0]!).data, null);
  // Each reader has data of its own.
  const [first] = await store.getEvents<typeof rich>("order-1");
  first!.data.pieces.clear();
  assertEquals((await store.getEvents<typeof rich>("order-1"))[0], rich);
});

Deno.test("what the library does not carry is refused", async () => {
  await using store = new InMemoryEventStore({ codec });
  class Money {}
  for (const bad of [() => 1, Symbol("x"), new Money(), undefined]) {
    const event = { ...fact("order-1", 1), data: bad === undefined ? bad : { bad } };
    const error = await assertRejects(() => store.saveEvent(event));
    assert(isAetherError(error, "InvalidEventError"), String(error));
  }
  assertEquals(await store.getEvents("order-1"), []);
});

natsTest(
  "a store begins to use the codec at any time; definitions, states and snapshots go with it",
  async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    const events = defineEvents({ Due: z.object({ at: z.date() }) }, { checkReads: true });
    type Due = EventsOf<typeof events>;
    const reminder: Decider<Set<number>, Date, Due> = {
      initialState: () => new Set(),
      evolve: (seen, { data }) => new Set([...seen, data.at.getTime()]),
      decide: (at) => events.Due({ at }),
    };
    {
      await using store = await JetStreamEventStore.open(connection, { namespace });
      await store.saveEvent(createEvent({ ...fact("other-1", 1), data: { total: 1 } }));
    }
    await using store = await JetStreamEventStore.open(connection, { namespace, codec, events });
    await using snapshotStore = new InMemorySnapshotStore({ codec });
    const snapshots = { store: snapshotStore, name: "due", schemaVersion: 1, every: 2 };
    for (const time of [1, 2, 3]) {
      await execute(store, "reminder-1", reminder, new Date(time), { snapshots });
    }
    assertEquals((await store.getEvents<Due>("reminder-1")).map(({ data }) => data.at), [
      ...[new Date(1), new Date(2), new Date(3)],
    ]);
    assertEquals((await store.getEvents("other-1")).map(({ data }) => data), [{ total: 1 }]);
    const query = { name: "due", schemaVersion: 1 };
    const snapshot = await snapshotStore.getLatestSnapshot("reminder-1", query);
    assertEquals(snapshot?.state, new Set([1, 2]));
    const { state } = await rehydrate(store, "reminder-1", reminder, { snapshots });
    assertEquals(state, new Set([1, 2, 3]));
  },
);

natsTest(
  "without the codec, rich events are refused and rich snapshots are lost",
  async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    const snapshot = {
      ...{ actorId: "order-1", name: "due", version: 1, schemaVersion: 1, timestamp: new Date(0) },
      state: RICH,
    };
    {
      await using store = await JetStreamEventStore.open(connection, { namespace, codec });
      await store.saveEvent({ ...fact("order-1", 1), data: RICH });
      await using snapshots = await JetStreamSnapshotStore.open(connection, { namespace, codec });
      await snapshots.saveSnapshot(snapshot);
      assertEquals((await snapshots.getLatestSnapshot("order-1", snapshot))?.state, RICH);
    }
    await using store = await JetStreamEventStore.open(connection, { namespace });
    const error = await assertRejects(() => store.getEvents("order-1"));
    assert(isAetherError(error, "CorruptEventError"), String(error));
    await using snapshots = await JetStreamSnapshotStore.open(connection, { namespace });
    assertEquals(await snapshots.getLatestSnapshot("order-1", snapshot), undefined);
  },
);
