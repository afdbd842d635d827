/** A codec may never answer: each call that waits for it ends all the same. */
import { assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { commandLogOf } from "../../../store/command_log.ts";
import {
  appendEvents,
  type Codec,
  type Decider,
  type Event,
  type EventStore,
  execute,
  InMemoryEventStore,
  InMemorySnapshotStore,
  JetStreamSnapshotStore,
  jsonCodec,
  type Snapshot,
  type SnapshotStore,
  StoreUnavailableError,
} from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { storeTest } from "../../support/stores.ts";

/** Answers at once, or never. */
class Stuck<Value extends Event | Snapshot> implements Codec<Value> {
  isStuck = false;

  encode(value: Value): Uint8Array | Promise<Uint8Array> {
    return this.isStuck ? new Promise(() => {}) : jsonCodec.encode(value);
  }

  decode(bytes: Uint8Array): Value | Promise<Value> {
    return this.isStuck ? new Promise(() => {}) : jsonCodec.decode<Value>(bytes);
  }
}

const counter: Decider<number, number> = {
  initialState: () => 0,
  decide: (by) => [{ eventType: "Added", data: by }],
  evolve: (state) => state + 1,
};

/** Every read of a store with one event waits for the codec, and ends; `wait` lets the time pass. */
async function assertReadsEnd(
  store: EventStore,
  codec: Stuck<Event>,
  wait: () => Promise<void>,
): Promise<void> {
  await execute(store, "counter-1", counter, 5, { commandId: "add-5" });
  const log = commandLogOf(store)!;
  const { found } = await log.search("counter-1");
  codec.isStuck = true;
  const backwards = { direction: "backwards" } as const;
  const reads: Record<string, () => Promise<unknown>> = {
    getEvents: () => store.getEvents("counter-1"),
    getEventsWithErrors: () => store.getEventsWithErrors("counter-1"),
    readEvents: () => Array.fromAsync(store.readEvents("counter-1", backwards)),
    readAll: () => Array.fromAsync(store.readAll()),
    outcome: () => log.outcome("counter-1", "add-5", found.get("add-5")!),
    subscribe: () => Array.fromAsync(store.subscribe()),
  };
  const ends = Object.entries(reads).map(([what, read]) =>
    assertRejects(
      read,
      StoreUnavailableError,
      "the codec has to wait: it has not answered in",
      what,
    )
  );
  await wait();
  await Promise.all(ends);
  codec.isStuck = false;
  assertEquals((await store.getEvents("counter-1"))[0]?.data, 5);
}

Deno.test("In memory, a codec that never answers holds up no read", async () => {
  using time = new FakeTime();
  const codec = new Stuck<Event>();
  await using store = new InMemoryEventStore({ codec });
  await assertReadsEnd(store, codec, () => time.tickAsync(12_500));
});

/** Decodes one event at a time, as over the one connection to a keeper of keys. */
function serialCodec(ms: number): Codec<Event> {
  let turn: Promise<unknown> = Promise.resolve();
  return {
    encode: (event) => jsonCodec.encode(event),
    decode(bytes) {
      const event = turn
        .then(() => new Promise((resolve) => setTimeout(resolve, ms)))
        .then(() => jsonCodec.decode<Event>(bytes));
      turn = event;
      return event;
    },
  };
}

const ADDED = Array.from({ length: 100 }, (_, data) => ({ eventType: "Added", data }));

Deno.test("In memory, a codec that decodes one by one has the time for each event", async () => {
  using time = new FakeTime();
  await using store = new InMemoryEventStore({ codec: serialCodec(300) });
  await appendEvents(store, "counter-1", 0, ADDED);
  const read = store.getEvents("counter-1");
  const [events] = await Promise.all([read, time.tickAsync(ADDED.length * 300)]);
  assertEquals(events.length, ADDED.length);
});

storeTest(
  "On NATS, a codec that decodes one by one has the time for each event",
  async (stores) => {
    const { store } = await stores.open({ codec: serialCodec(20), timeout: 1_000 });
    await appendEvents(store, "counter-1", 0, ADDED);
    assertEquals((await store.getEvents("counter-1")).length, ADDED.length);
  },
);

storeTest("On NATS, a codec that never answers holds up no read", async (stores) => {
  const codec = new Stuck<Event>();
  const { store } = await stores.open({ codec, timeout: 2_000 });
  await assertReadsEnd(store, codec, () => Promise.resolve());
});

/** A read goes on after its store is disposed, and needs the codec. */
async function assertEndsAtOnce(store: EventStore, codec: Stuck<Event>): Promise<void> {
  for (const actorId of ["counter-1", "counter-2"]) await appendEvents(store, actorId, 0, ADDED);
  const events = store.readAll()[Symbol.asyncIterator]();
  await events.next();
  await store[Symbol.asyncDispose]();
  codec.isStuck = true;
  const ended = "the store was disposed before it answered";
  await assertRejects(() => events.next(), StoreUnavailableError, ended);
}

Deno.test("In memory, a decoding that begins after the store's end ends at once", async () => {
  using _time = new FakeTime(); // It does not go on.
  const codec = new Stuck<Event>();
  await assertEndsAtOnce(new InMemoryEventStore({ codec }), codec);
});

storeTest("On NATS, a decoding that begins after the store's end ends at once", async (stores) => {
  const codec = new Stuck<Event>();
  const { store } = await stores.open({ codec });
  await assertEndsAtOnce(store, codec);
});

/** A snapshot that the codec does not read in time is neither given nor lost, and none is kept that it does not write. */
async function assertSnapshotsEnd(
  store: SnapshotStore,
  codec: Stuck<Snapshot>,
  wait: () => Promise<void>,
): Promise<void> {
  const order = { actorId: "order-1", name: "order", schemaVersion: 1, timestamp: new Date() };
  await store.saveSnapshot({ ...order, version: 1, state: 5 });
  codec.isStuck = true;
  const late = "the codec has to wait: it has not answered in";
  const calls = [
    () => store.saveSnapshot({ ...order, version: 2, state: 6 }),
    () => store.getLatestSnapshot("order-1", order),
  ];
  const ends = Promise.all(calls.map((call) => assertRejects(call, StoreUnavailableError, late)));
  await wait();
  await ends;
  codec.isStuck = false;
  assertEquals((await store.getLatestSnapshot("order-1", order))?.version, 1);
}

Deno.test("In memory, a codec that never answers holds up no snapshot", async () => {
  using time = new FakeTime();
  const codec = new Stuck<Snapshot>();
  await using store = new InMemorySnapshotStore({ codec });
  await assertSnapshotsEnd(store, codec, () => time.tickAsync(12_500));
});

natsTest("On NATS, a codec that never answers holds up no snapshot", async (scene) => {
  const { namespace } = scene;
  const codec = new Stuck<Snapshot>();
  const connection = await scene.connect();
  const options = { namespace, codec, timeout: 1_000 };
  await using store = await JetStreamSnapshotStore.open(connection, options);
  await assertSnapshotsEnd(store, codec, () => Promise.resolve());
});
