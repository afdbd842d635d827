import { assert, assertEquals } from "@std/assert";
import { commandLogOf } from "../../../store/command_log.ts";
import { FencedEventStore } from "../../../store/fencing/fenced_store.ts";
import {
  appendEvents,
  createEvent,
  type Decider,
  type Event,
  type EventStore,
  type EventStoreOptions,
  execute,
  FORGOTTEN,
  InMemoryEventStore,
  InMemorySnapshotStore,
  JetStreamEventStore,
  verify,
} from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import { assertSound, facts } from "./bed.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** JSON of its own, and an event that was forgotten. */
const OPTIONS: EventStoreOptions = {
  codec: {
    encode: (event) => encoder.encode(`v1 ${JSON.stringify(event)}`),
    decode: (bytes) => {
      const value = JSON.parse(decoder.decode(bytes).slice(3)) as Event;
      return value.data === "secret" ? FORGOTTEN : value;
    },
  },
  upcasters: { Grown: [(data) => ({ was: data })] },
};

interface Opened {
  readonly store: EventStore;
  /** The stores that keep receipts; a fenced store has none yet. */
  readonly receipts: boolean;
}

type Open = (options: EventStoreOptions) => Promise<Opened>;

/** Saves events in all the ways there are; gives how many events and receipts are stored. */
async function fill({ store, receipts }: Opened): Promise<{ events: number; receipts: number }> {
  await store.saveEvent(fact("order-1", 1));
  await store.saveEvents(facts("order-1", 2, 4));
  // Versions with gaps, and ids that need encoding.
  await store.saveEvents([
    { ...fact("order-1", 7), id: "7 of ü" },
    { ...fact("order-1", 9), id: "9 = 3²", eventType: "A type" },
  ]);
  // Several actors, with guards on one that is written and two that are not.
  await store.saveEvents([fact("stock-1", 1), fact("order-1", 10), fact("stock-1", 2)], {
    expect: [{ actorId: "order-1", version: 9 }],
  });
  await store.saveEvents([fact("stock-2", 1), fact("stock-2", 2)], {
    expect: [{ actorId: "order-1", version: 10 }, { actorId: "nobody", version: 0 }],
  });
  // More than one message holds, and saves that queue up.
  await store.saveEvents(facts("long-1", 1, 700));
  await Promise.all(facts("queue-1", 1, 40).map((event) => store.saveEvent(event)));
  await store.saveEvent(fact("order-9", 1, "secret"));
  await store.saveEvent(createEvent({ ...fact("order-9", 2), eventType: "Grown" }));
  let recorded = 0;
  if (receipts) {
    const log = commandLogOf(store)!;
    const record = async (actorId: string, commandId: string) => {
      const end = (await log.search(actorId)).end;
      await log.record({ actorId, commandId, end, outcome: { refused: "no" } });
      recorded++;
    };
    await record("order-1", "first command");
    await record("order-1", "second command");
    await record("unborn-1", "third");
    await record("unborn-1", "fourth");
    await record("unborn-2", "fifth");
    await store.saveEvents(facts("unborn-1", 1, 2));
    await store.saveEvent(fact("order-1", 11));
  }
  return { events: 6 + 3 + 2 + 700 + 40 + 2 + (receipts ? 3 : 0), receipts: recorded };
}

const memory: Open = (options) =>
  Promise.resolve({ store: new InMemoryEventStore(options), receipts: true });

async function checkClean(open: Open, options: EventStoreOptions): Promise<void> {
  const opened = await open(options);
  await using store = opened.store;
  assertSound(await verify(store));
  const counts = await fill(opened);
  const report = assertSound(await verify(store));
  const { events, receipts, actors, identity, next } = report;
  assertEquals({ events, receipts }, counts);
  assertEquals(identity, store.identity);
  let listed = 0;
  for await (const _ of store.listActors()) listed++;
  assertEquals(actors, listed);
  // Nothing is there from `next` on, until more is stored.
  assertEquals((await verify(store, { from: next })).messages, 0);
  await store.saveEvents(facts("order-77", 1, 2));
  const rest = assertSound(await verify(store, { from: next }));
  assertEquals([rest.events, rest.actors], [2, 1]);
}

for (const [kind, options] of Object.entries({ JSON: {}, "a codec and upcasters": OPTIONS })) {
  Deno.test(`a sound store in memory passes, with ${kind}`, async () => {
    await checkClean(memory, options);
  });

  natsTest(`a sound stream passes, with ${kind}`, async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    await checkClean(async (options) => ({
      store: await JetStreamEventStore.open(connection, { namespace, ...options }),
      receipts: true,
    }), options);
  });

  natsTest(`a sound stream of fenced saves passes, with ${kind}`, async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    await checkClean(async (options) => {
      const init = { namespace, nodeId: "one", shards: 4, ...options };
      const store = await FencedEventStore.open(connection, init);
      for (let shard = 0; shard < 4; shard++) await store.claim(shard, 1);
      await store.barrier(2);
      await store.renew(1);
      await store.release(3);
      await store.claim(3, 2);
      return { store, receipts: false };
    }, options);
  });
}

natsTest("a view of a store is verified as the store behind it", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using store = await FencedEventStore.open(connection, { namespace, nodeId: "one" });
  await store.claim(store.shardOf("order-1"), 1);
  const view = store.forCommand("command-1");
  await view.saveEvents(facts("order-1", 1, 3));
  assertEquals(assertSound(await verify(view)).events, 3);
});

type Counted = Event<"Counted", number>;

const counter: Decider<{ sum: number }, number, Counted> = {
  initialState: () => ({ sum: 0 }),
  evolve: ({ sum }, { data }) => ({ sum: sum + data }),
  decide: (by) => ({ eventType: "Counted", data: by }),
};

Deno.test("snapshots of a sample are compared with replays", async () => {
  const snapshots = {
    store: new InMemorySnapshotStore(),
    name: "state",
    schemaVersion: 1,
    every: 2,
  };
  await using store = new InMemoryEventStore();
  for (let at = 0; at < 10; at++) {
    for (const by of [1, 2, 3]) await execute(store, `counter-${at}`, counter, by, { snapshots });
  }
  await appendEvents(store, "other-1", 0, [{ eventType: "Other", data: null }]);
  const check = { store: snapshots.store, name: "state", schemaVersion: 1, evolution: counter };
  const all = await verify(store, { snapshots: { ...check, category: "counter" } });
  assertEquals(assertSound(all).snapshots, 10);
  const some = await verify(store, { snapshots: [{ ...check, sample: 3 }] });
  assert(assertSound(some).snapshots <= 3);
});
