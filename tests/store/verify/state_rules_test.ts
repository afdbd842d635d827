import { assertEquals, assertMatch } from "@std/assert";
import {
  appendEvents,
  type Event,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  InMemorySnapshotStore,
  Projection,
  verify,
} from "../../../store/mod.ts";
import { ProjectionKeys } from "../../../store/projection/state.ts";
import { fact } from "../../support/fault.ts";
import { storeTest } from "../../support/stores.ts";
import { assertSound, facts } from "./bed.ts";

const evolution = {
  initialState: () => ({ seen: [] as number[] }),
  evolve: ({ seen }: { seen: number[] }, { version }: Event) => ({ seen: [...seen, version] }),
};

Deno.test("snapshot: each way in which one can be wrong is reported", async () => {
  await using store = new InMemoryEventStore();
  await using snapshots = new InMemorySnapshotStore();
  const wrong = {
    "order-1": { version: 3, state: { seen: [1, 2, 3] } },
    "order-2": { version: 3, state: { seen: [1, 2] } },
    "order-3": { version: 5, state: { seen: [1, 2, 3] } },
    "order-4": { version: 3, state: { seen: [1, 2, 3] }, lastEventId: "other" },
    "order-5": { version: 2, state: { seen: [1, 2], more: {} } },
  };
  for (const [actorId, snapshot] of Object.entries(wrong)) {
    await store.saveEvents(facts(actorId, 1, 3));
    const rest = { actorId, name: "state", schemaVersion: 7, timestamp: new Date() };
    await snapshots.saveSnapshot({ ...rest, ...snapshot });
  }
  const check = { store: snapshots, name: "state", schemaVersion: 7, evolution };
  const { problems, snapshots: compared } = await verify(store, { snapshots: check });
  assertEquals(compared, 5);
  assertEquals(problems.map(({ rule, actorId }) => `${rule} ${actorId}`), [
    "snapshot order-2",
    "snapshot order-3",
    "snapshot order-4",
    "snapshot order-5",
  ]);
  assertMatch(problems[0]!.message, /is not the state that its events make up/);
  assertMatch(problems[1]!.message, /the last one has version 3/);
  assertMatch(problems[2]!.message, /is of event "other"/);
  const other = { ...check, name: "state", schemaVersion: 8 };
  assertEquals(assertSound(await verify(store, { snapshots: other })).snapshots, 0);
});

storeTest("checkpoint: those of a projection that has run are sound", async (stores) => {
  const { store } = await stores.open();
  const checkpoints = new InMemoryCheckpointStore();
  for (let at = 0; at < 20; at++) await store.saveEvents(facts(`order-${at}`, 1, 3));
  const stop = new AbortController();
  let handled = 0;
  await using projection = new Projection({
    ...{ name: "mail", store, checkpoints, partitions: 3 },
    handler: () => {
      if (++handled === 60) stop.abort();
    },
  });
  await projection.run({ signal: stop.signal }).catch(() => {});
  assertSound(await verify(store, { projections: [{ name: "mail", checkpoints }] }));
});

const controlOf = (active: unknown, more = {}) =>
  JSON.stringify({ active, latest: 2, paused: false, retries: {}, nonce: "", ...more });

Deno.test("checkpoint: a control that no projection writes is reported, and not followed", async () => {
  await using store = new InMemoryEventStore();
  const active = { version: 1, partitions: 1 };
  for (
    const body of [
      controlOf({ version: 1, partitions: 1e9 }),
      controlOf({ version: 1, partitions: 257 }),
      controlOf({ version: 1, partitions: 1.5 }),
      controlOf(active, { next: { version: 2, partitions: 1e9 } }),
      controlOf(undefined),
      "{}",
      "no JSON",
    ]
  ) {
    let loads = 0;
    const load = (key: string) => {
      loads++;
      return Promise.resolve(key.endsWith("control") ? { revision: 1, body } : undefined);
    };
    const projections = [{ name: "mail", checkpoints: { load } }];
    const { problems } = await verify(store, { projections });
    assertEquals(problems.map(({ rule }) => rule), ["checkpoint"], body);
    assertMatch(problems[0]!.message, /of projection "mail" is no checkpoint/);
    assertEquals(loads, 1);
  }
});

storeTest("checkpoint: each way in which one can be wrong is reported", async (stores) => {
  const { store } = await stores.open();
  await store.saveEvents(facts("order-1", 1, 3));
  const event = fact("order-2", 1);
  const { sequence } = await store.saveEvent(event);
  const { identity } = store;
  const state = { identity, sequence, eventId: event.id, actorId: "order-2", parked: [] };
  const wrong = [
    state,
    { ...state, identity: "other" },
    { ...state, sequence: 256 * 1000 },
    { ...state, eventId: "other" },
    { ...state, sequence: 1.5 },
    { ...state, sequence: 256 * 2 + 9 },
    { ...state, sequence: 0, identity: "other" },
  ];
  const keys = new ProjectionKeys("mail");
  const kept = new Map<string, string>([
    [keys.control, controlOf({ version: 2, partitions: wrong.length + 2 })],
    ...wrong.map((it, at) => [keys.partition(2, at), JSON.stringify(it)] as const),
    [keys.partition(2, wrong.length), "no JSON"],
  ]);
  const load = (key: string) => {
    const body = kept.get(key);
    return Promise.resolve(body === undefined ? undefined : { revision: 1, body });
  };
  const { problems } = await verify(store, {
    projections: [{ name: "mail", checkpoints: { load } }],
  });
  assertEquals(problems.map(({ rule }) => rule), Array(6).fill("checkpoint"));
  assertMatch(problems[0]!.message, /partition 1 of version 2, is about the store with identity/);
  assertMatch(problems[1]!.message, /the store ends at message 3/);
  assertEquals(problems[1]!.streamSequence, 1000);
  assertMatch(problems[2]!.message, /event "other" at position 768, and that event is not stored/);
  assertMatch(problems.at(-1)!.message, /is no checkpoint/);
});

Deno.test("a checkpoint of a store in memory is checked too", async () => {
  await using store = new InMemoryEventStore();
  await appendEvents(store, "order-1", 0, [{ eventType: "OrderPlaced", data: null }]);
  const [event] = await Array.fromAsync(store.readAll());
  const { identity } = store;
  const at = (sequence: number) => ({
    load: (key: string) =>
      Promise.resolve({
        revision: 1,
        body: key.endsWith("control")
          ? controlOf({ version: 1, partitions: 1 })
          : JSON.stringify({ identity, sequence, eventId: event!.id }),
      }),
  });
  const projections = (sequence: number) => [{ name: "mail", checkpoints: at(sequence) }];
  assertSound(await verify(store, { projections: projections(event!.sequence) }));
  const { problems } = await verify(store, { projections: projections(event!.sequence + 1) });
  assertEquals(problems.map(({ rule }) => rule), ["checkpoint"]);
});
