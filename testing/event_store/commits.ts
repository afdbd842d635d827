import type { Event, RecordedEvent } from "../../store/event.ts";
import type { ReadOptions } from "../../store/options.ts";
import type { EventStore } from "../../store/store.ts";
import { equal, ok } from "../assert.ts";
import { subscribed } from "../event_subscription/kit.ts";
import {
  conflicts,
  gather,
  holds,
  JsonCodec,
  placesAround,
  range,
  sample,
  samples,
  type StoreTest,
} from "./kit.ts";

/** Events that are kept together at most, where the store keeps those of a save together. */
const TOGETHER = 256;
/** Events that make a list long. */
const LONG = 300;

/** Saves of many events of one actor, which is where a store may begin another message. */
export function commits(test: StoreTest, together: StoreTest): void {
  for (const count of [1, 2, 255, 256, 257, 1_000, 5_000]) {
    test(`a save of ${count} events of one actor is read whole, and from any place`, async ({ open }) => {
      const store = await open();
      const { events, own, all } = await saved(store, range(1, count));
      await isReadFrom(store, own, all);
      await isReadInRanges(store, events);
      await isDuplicate(store, events, own);
    });
  }

  test("a save of versions with gaps is read whole, and from any place", async ({ open }) => {
    const store = await open();
    const versions = [
      ...range(1, 200).map((at) => at * 3),
      ...range(1, 100).map((at) => 10 ** 12 + at),
      Number.MAX_SAFE_INTEGER,
    ];
    const { events, own, all } = await saved(store, versions);
    await isReadFrom(store, own, all);
    await isReadInRanges(store, events);
    await isDuplicate(store, events, own);
    for (const version of [1, 4, 599, 10 ** 12, 10 ** 12 + 101]) {
      const other = () => store.saveEvent(sample({ actorId: "a-1", version }));
      await conflicts(other, "a-1", version, Number.MAX_SAFE_INTEGER);
    }
  });

  test("events that a codec encodes are distinguished in a save of many", async ({ open }) => {
    const store = await open({ codec: new JsonCodec() });
    const events = range(1, 300).map((version) =>
      sample({ version, data: "漢".repeat(version % 7), eventType: `T${version % 3}` })
    );
    await store.saveEvents(events);
    const read = await gather(store.readEvents("order-1"));
    equal(read.map(({ id, data }) => [id, data]), events.map(({ id, data }) => [id, data]));
    const filter = { eventTypes: ["T1"] };
    const some = await gather(store.readAll({ filter }));
    equal(some.map(({ version }) => version), range(0, 99).map((at) => 3 * at + 1), "versions");
  });

  test("every event says which commit it is of", async ({ open }) => {
    const store = await open();
    const saves = [
      samples("a-1", [1]),
      [...samples("a-1", [2, 3]), ...samples("b-1", [1, 2]), ...samples("a-1", [4])],
      samples("b-1", range(3, 302)),
      [...samples("b-1", [303]), ...samples("a-1", range(5, 304)), ...samples("b-1", [304])],
    ];
    for (const events of saves) await store.saveEvents(events);
    // Those that wait for each other may be stored together, and are commits of their own.
    const queued = range(0, 40).map((at) => samples("c-1", range(3 * at + 1, 3 * at + 1 + at % 3)));
    await Promise.all(queued.map((events) => store.saveEvents(events)));
    const all = await gather(store.readAll());
    areCommits([...saves, ...queued], all);
    for (const { sequence } of all.slice(0, 8)) {
      const rest = all.filter((event) => event.sequence > sequence);
      equal(await gather(store.readAll({ from: sequence + 1 })), rest, `behind ${sequence}`);
    }
  });

  test("the types of events in one save are distinguished", async ({ open }) => {
    const store = await open();
    const events = range(1, 600).map((version) =>
      sample({
        actorId: "a-1",
        version,
        eventType: version % 100 === 0 ? "Rare" : `T ${version % 2}`,
      })
    );
    await store.saveEvents(events);
    const all = await gather(store.readAll());
    for (const eventTypes of [["Rare"], ["T 1"], ["T 0", "Rare"], ["T"]]) {
      const wanted = all.filter(({ eventType }) => eventTypes.includes(eventType));
      for (const from of ["start" as const, all[254]!.sequence, all[256]!.sequence]) {
        const rest = wanted.filter(({ sequence }) => from === "start" || sequence >= from);
        const filter = { eventTypes };
        equal(await gather(store.readAll({ filter, from })), rest, `events of ${eventTypes}`);
        if (rest.length === 0) continue;
        const come = await subscribed(store, { filter, from }, rest.length);
        equal(come, rest, `subscribed events of ${eventTypes}`);
      }
    }
  });

  together("a save of many is read and recognised by another store", async ({ open }) => {
    const first = await open();
    const { events, own, all } = await saved(first, range(1, 700));
    const second = await open();
    await isDuplicate(second, events, own);
    const third = await open();
    await isReadInRanges(third, events);
    await isReadFrom(await open(), own, all);
    const [next] = samples("a-1", [701]);
    await third.saveEvent(next!);
    equal(await second.getLatestVersion("a-1", { fresh: true }), 701, "latest version");
    await holds(first, [...events, next!]);
  });
}

/** Passes if each event of `saves` is of a commit that is just its save. */
export function areCommits(
  saves: readonly (readonly Event[])[],
  recorded: readonly RecordedEvent[],
): void {
  const byId = new Map(recorded.map((event) => [event.id, event]));
  const ops = new Set<string>();
  for (const [at, save] of saves.entries()) {
    const own = save.map(({ id }) => byId.get(id)!.commit);
    const { op } = own[0]!;
    const wanted = save.map((_, index) => ({ op, index, count: save.length }));
    equal(own, wanted, `commits of save ${at}`);
    ok(!ops.has(op), `save ${at} is a commit of its own`);
    ops.add(op);
  }
  const sequences = recorded.map(({ sequence }) => sequence);
  equal(sequences, [...new Set(sequences)].sort((a, b) => a - b), "positions, growing");
}

/** One save of many versions of an actor, between saves of others. */
async function saved(
  store: EventStore,
  versions: readonly number[],
): Promise<{ events: Event[]; own: RecordedEvent[]; all: RecordedEvent[] }> {
  const before = samples("b-1", [1, 2, 3]);
  await store.saveEvents(before);
  const events = samples("a-1", versions);
  const { sequence, duplicate } = await store.saveEvents(events);
  equal(duplicate, false, "duplicate");
  const after = samples("b-1", [4, 5]);
  await store.saveEvents(after);
  const all = await gather(store.readAll());
  const own = all.filter(({ actorId }) => actorId === "a-1");
  equal(all.map(({ id }) => id), [...before, ...events, ...after].map(({ id }) => id), "ids");
  equal(own.at(-1)!.sequence, sequence, "position of the receipt");
  areCommits([before, events, after], all);
  await holds(store, events);
  return { events, own, all };
}

/**
 * Places in a list of `count` where something may begin or end, as indexes; in a long list, which takes
 * its time, those themselves and none beside them.
 */
function edgesOf(count: number): number[] {
  const around = [0, TOGETHER / 2, TOGETHER, 2 * TOGETHER, count - 1];
  const beside = count < LONG ? [-1, 0, 1] : [0];
  const edges = around.flatMap((at) => beside.map((by) => at + by));
  return [...new Set(edges)].filter((at) => at >= 0 && at < count).sort((a, b) => a - b);
}

/** Passes if the log is read, and subscribed to, from all places around the edges. */
async function isReadFrom(
  store: EventStore,
  own: readonly RecordedEvent[],
  all: readonly RecordedEvent[],
): Promise<void> {
  const places = placesAround(edgesOf(own.length).map((at) => own[at]!));
  await Promise.all(places.map(async (from) => {
    const rest = all.filter(({ sequence }) => sequence >= from);
    const seen: RecordedEvent[] = [];
    for await (const event of store.readAll({ from })) if (seen.push(event) >= 600) break;
    equal(seen, rest.slice(0, 600), `events from ${from}`);
    const filter = { actorId: "a-1" };
    const mine = rest.filter(({ actorId }) => actorId === "a-1");
    const [first] = mine;
    for await (const event of store.readAll({ from, filter })) {
      equal(event, first, `the actor's first event from ${from}`);
      break;
    }
    const wanted = rest.slice(0, TOGETHER + 2);
    equal(
      await subscribed(store, { from }, wanted.length),
      wanted,
      `subscribed events from ${from}`,
    );
  }));
  const last = await gather(store.readAll({ from: own.at(-1)!.sequence + 1 }));
  equal(last.map(({ actorId }) => actorId), ["b-1", "b-1"], "actors behind the save");
}

/** Passes if all ranges around the edges are read, in both directions. */
async function isReadInRanges(store: EventStore, events: readonly Event[]): Promise<void> {
  for (const at of edgesOf(events.length)) {
    const { version } = events[at]!;
    equal(await store.getEvents("a-1", version), events.slice(at), `events from ${version}`);
    const far = events[Math.min(events.length - 1, at + TOGETHER)]!.version;
    const parts: ReadOptions[] = [
      { fromVersion: version, limit: 1 },
      { toVersion: version, limit: 1 },
      { fromVersion: version, limit: TOGETHER },
      { toVersion: version, limit: TOGETHER + 1 },
      { fromVersion: version, toVersion: version },
      { fromVersion: version, toVersion: far },
      { fromVersion: Math.min(version + 1, far), toVersion: far },
      { toVersion: version },
    ];
    await Promise.all(
      parts.flatMap((part) =>
        (["forwards", "backwards"] as const).map(async (direction) => {
          const { fromVersion = 0, toVersion = Infinity, limit } = part;
          const wanted = events.filter((it) =>
            it.version >= fromVersion && it.version <= toVersion
          );
          if (direction === "backwards") wanted.reverse();
          const seen = await gather(store.readEvents("a-1", { ...part, direction }));
          equal(seen, wanted.slice(0, limit), `events ${direction} of ${JSON.stringify(part)}`);
        })
      ),
    );
  }
  const { errors, events: sound } = await store.getEventsWithErrors("a-1");
  equal([errors, sound], [[], events], "what is read with errors");
}

/**
 * Passes if all of the save, and any part of it, is a duplicate, and a save with more events a
 * conflict.
 */
async function isDuplicate(
  store: EventStore,
  events: readonly Event[],
  own: readonly RecordedEvent[],
): Promise<void> {
  const latest = events.at(-1)!.version;
  for (const first of edgesOf(events.length)) {
    for (const last of [first, Math.min(events.length - 1, first + TOGETHER), events.length - 1]) {
      const receipt = await store.saveEvents(events.slice(first, last + 1));
      const { sequence } = own[last]!;
      equal(receipt, { sequence, duplicate: true }, `receipt of events ${first} to ${last}`);
    }
    const other = { ...events[first]!, id: `not-${events[first]!.id}` };
    const { version } = other;
    await conflicts(() => store.saveEvent(other), "a-1", version, latest);
    const mixed = events.with(first, other);
    await conflicts(() => store.saveEvents(mixed), "a-1", version, latest);
  }
  if (latest === Number.MAX_SAFE_INTEGER) return;
  const more = [...events, ...samples("a-1", [latest + 1])];
  await conflicts(() => store.saveEvents(more), "a-1", latest + 1, latest);
}
