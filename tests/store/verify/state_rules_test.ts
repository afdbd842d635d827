import { assertEquals, assertMatch } from "@std/assert";
import {
  appendEvents,
  type Event,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  InMemorySnapshotStore,
  Projection,
  type Snapshot,
  verify,
} from "../../../store/mod.ts";
import { isSameState } from "../../../store/verify/same_state.ts";
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

/** A state that holds itself, as a codec of one's own may carry it. */
function own(last: unknown) {
  const map = new Map<string, unknown>();
  const list: unknown[] = [map, new Set([map])];
  return map.set("map", map).set("list", list).set("last", last);
}

class Money {
  readonly #amount: number;
  constructor(amount: number) {
    this.#amount = amount;
  }
  toJSON(): number {
    return this.#amount;
  }
}

/** States that are made twice, and others that they are not the same as. */
const STATES: Record<string, (other: boolean) => unknown> = {
  "a map that holds itself": (other) => own(other ? 1 : 2),
  "a map in a map": (other) => new Map([[1, new Map([["a", other]])]]),
  "a set of objects": (other) => new Set([{ a: 1 }, { a: other }]),
  "a time": (other) => new Date(other ? 0 : NaN),
  "a time and an object": (other) => other ? {} : new Date(0),
  "bytes": (other) => new Uint8Array([1, other ? 2 : 3]),
  "a buffer": (other) => new Uint8Array([1, other ? 2 : 3]).buffer,
  "a view": (other) => new DataView(new Uint8Array([other ? 2 : 3]).buffer),
  "bytes and a buffer": (other) => other ? {} : new ArrayBuffer(1),
  "an address": (other) => new URL(other ? "http://a/" : "http://b/"),
  "a pattern": (other) => other ? /a/ : /b/,
  "a day": (other) => Temporal.PlainDate.from(other ? "2026-01-01" : "2027-01-01"),
  "an amount": (other) => new Money(other ? 1 : 2),
  "a list's length": (other) => other ? [1] : [1, undefined],
  "a hole": (other) => other ? [1, , 2] : [1, 0, 2], // deno-lint-ignore no-sparse-arrays
  "zero": (other) => [NaN, other ? 0 : -0],
  "nothing": (other) => other ? null : Object.create(null),
};

for (const [what, make] of Object.entries(STATES)) {
  Deno.test(`snapshot: one with ${what} is the same as its replay, and not as another state`, async () => {
    await using store = new InMemoryEventStore();
    await store.saveEvents(facts("order-1", 1, 1));
    const compare = async (state: unknown) => {
      let kept: Snapshot;
      const encode = (snapshot: Snapshot) => {
        kept = snapshot;
        return new Uint8Array(1);
      };
      const codec = { lenient: true, encode, decode: () => kept };
      await using snapshots = new InMemorySnapshotStore({ codec });
      const rest = { actorId: "order-1", name: "state", version: 1, schemaVersion: 1 };
      await snapshots.saveSnapshot({ ...rest, state, timestamp: new Date() });
      const replayed = { initialState: () => null, evolve: () => make(false) };
      const check = { store: snapshots, name: "state", schemaVersion: 1, evolution: replayed };
      return (await verify(store, { snapshots: check })).problems.map(({ message }) => message);
    };
    assertEquals(await compare(make(false)), []);
    assertMatch((await compare(make(true)))[0]!, /is not the state that its events make up/);
  });
}

Deno.test("snapshot: what JSON leaves out does not count, nor does the order of keys and items", () => {
  for (
    const [one, other] of [
      [{ a: 1, b: undefined }, { a: 1 }],
      [{}, Object.create(null)],
      [new Map([["10", 1], ["2", 1]]), new Map([["2", 1], ["10", 1]])],
      [new Set([1, 2]), new Set([2, 1])],
      [new Map([[{ id: 1 }, 1]]), new Map([[{ id: 1 }, 1]])],
    ]
  ) {
    assertEquals([isSameState(one, other), isSameState(other, one)], [true, true]);
  }
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
