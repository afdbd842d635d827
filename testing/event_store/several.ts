import type { Event } from "../../store/event.ts";
import { equal, rejects } from "../assert.ts";
import { JsonCodec, range, roomFor, sample, samples, type StoreTest } from "./kit.ts";

/** Reads of several actors give for each what a read of it alone gives. */
export function several(test: StoreTest, together: StoreTest, maxBytes: number = Infinity): void {
  test("getLatestVersions() and getEventsOf() give each actor once, in order", async ({ open }) => {
    const store = await open();
    await store.saveEvents([...samples("a-1", [1, 2, 7]), ...samples("b-1", [3])]);
    for (const version of range(1, 5)) await store.saveEvent(sample({ actorId: "c-1", version }));
    const ids = ["c-1", "nobody", "a-1", "c-1", "b-1", "a-1"];
    const versions: [string, number][] = [["c-1", 5], ["nobody", 0], ["a-1", 7], ["b-1", 3]];
    for (const options of [undefined, { fresh: true }, {}]) {
      equal([...await store.getLatestVersions(ids, options)], versions, "latest versions");
    }
    const histories = await store.getEventsOf(ids);
    equal([...histories.keys()], versions.map(([actorId]) => actorId), "actors");
    for (const [actorId, events] of histories) {
      equal(events, await store.getEvents(actorId), `events of ${actorId}`);
    }
    equal(histories.get("c-1")!.length, 5, "number of events");
  });

  test("getLatestVersions() and getEventsOf() of no actors give nothing", async ({ open }) => {
    const store = await open();
    await store.saveEvent(sample());
    equal([...await store.getLatestVersions([])], [], "latest versions");
    equal([...await store.getEventsOf([])], [], "events");
  });

  test("getLatestVersions() and getEventsOf() refuse an impossible id", async ({ open }) => {
    const store = await open();
    await store.saveEvent(sample());
    for (const actorId of ["", "\udc00", "x".repeat(1024), 7 as never, undefined as never]) {
      const ids = ["order-1", actorId];
      await rejects(() => store.getLatestVersions(ids), "RangeError", "an impossible id");
      await rejects(() => store.getEventsOf(ids), "RangeError", "an impossible id");
    }
    for (const ids of ["order-1", undefined, new Set(["order-1"])] as never[]) {
      await rejects(() => store.getLatestVersions(ids), "TypeError", "no array");
      await rejects(() => store.getEventsOf(ids), "TypeError", "no array");
    }
  });

  test("getLatestVersions() and getEventsOf() take an array as it is when called", async ({ open }) => {
    const store = await open();
    await store.saveEvents([...samples("a-1", [1]), ...samples("b-1", [1, 2])]);
    const ids = ["a-1", "b-1"];
    const calls = [store.getLatestVersions(ids, { fresh: true }), store.getEventsOf(ids)];
    ids.length = 0;
    for (const found of await Promise.all(calls)) {
      equal([...found.keys()], ["a-1", "b-1"], "actors");
    }
  });

  test("getLatestVersions() and getEventsOf() take no id for a pattern", async ({ open }) => {
    const store = await open();
    const ids = ["*", ">", "order-*", "order.1", "$", "漢-1", " ", "order-1"];
    await store.saveEvents(ids.map((actorId) => sample({ actorId, version: 4, data: actorId })));
    const others = ["a.>", "order", "order-", "order-2"];
    const versions = await store.getLatestVersions([...ids, ...others], { fresh: true });
    equal(ids.map((actorId) => versions.get(actorId)), ids.map(() => 4), "versions");
    equal(others.map((actorId) => versions.get(actorId)), others.map(() => 0), "versions");
    const histories = await store.getEventsOf([...ids, ...others]);
    equal(
      ids.map((actorId) => histories.get(actorId)!.map((it) => it.data)),
      ids.map((it) => [it]),
    );
    equal(others.map((actorId) => histories.get(actorId)), others.map(() => []), "events");
  });

  test("thousands of actors are read at once", async ({ open }) => {
    const store = await open();
    const ids = range(1, 2_100).map((at) => `order-${at}`);
    for (let at = 0; at < ids.length; at += 300) {
      await store.saveEvents(ids.slice(at, at + 300).map((actorId) => sample({ actorId })));
    }
    for (let at = 0; at < ids.length; at += 100) {
      await store.saveEvent(sample({ actorId: ids[at]!, version: 2, data: at }));
    }
    const expected = ids.map((actorId, at): [string, number] => [actorId, at % 100 === 0 ? 2 : 1]);
    const asked = [...ids, "nobody"];
    const versions = await store.getLatestVersions(asked, { fresh: true });
    equal([...versions], [...expected, ["nobody", 0]], "latest versions");
    const histories = await store.getEventsOf(asked);
    const found = Array.from(
      histories,
      ([actorId, events]) => [actorId, events.at(-1)?.version ?? 0],
    );
    equal(found, [...expected, ["nobody", 0]], "versions of the last events");
  });

  test("actors with large events are read at once", async ({ open }) => {
    const store = await open();
    const large = Math.min(60_000, roomFor(maxBytes) / 8);
    const ids = range(1, 14).map((at) => `order-${at}`);
    const events = ids.map((actorId) => sample({ actorId, data: actorId.repeat(large) }));
    for (const event of events) await store.saveEvent(event);
    await store.saveEvent(sample({ actorId: "order-7", version: 2 }));
    const versions = await store.getLatestVersions([...ids, "nobody"], { fresh: true });
    equal([...versions.values()], [...ids.map((id) => id === "order-7" ? 2 : 1), 0], "versions");
    const histories = await store.getEventsOf([...ids, "nobody"]);
    equal([...histories].map(([, [first]]) => first), [...events, undefined], "first events");
    equal(histories.get("order-7")!.length, 2, "number of events");
  });

  test("getEventsOf() reads long histories whole", async ({ open }) => {
    const store = await open();
    const ids = ["a-1", "b-1", "c-1"];
    for (const version of [1, 401, 801]) {
      const versions = range(version, version + 399);
      for (const actorId of ids) await store.saveEvents(samples(actorId, versions));
    }
    for (const [actorId, events] of await store.getEventsOf(ids)) {
      equal(events.map(({ version }) => version), range(1, 1200), `versions of ${actorId}`);
    }
  });

  test("getLatestVersions() and getEventsOf() see a save that was made before", async ({ open }) => {
    const store = await open();
    const ids = ["a-1", "b-1", "c-1"];
    for (const version of range(1, 12)) {
      const actorId = ids[version % 3]!;
      await store.saveEvent(sample({ actorId, version }));
      equal((await store.getLatestVersions(ids)).get(actorId), version, "latest version");
      equal((await store.getEventsOf(ids)).get(actorId)!.at(-1)!.version, version, "last version");
    }
  });

  together("getLatestVersions() with fresh sees what another store has saved", async ({ open }) => {
    const [first, second] = [await open(), await open()];
    const ids = range(1, 20).map((at) => `order-${at}`);
    for (const version of range(1, 5)) {
      await Promise.all(ids.map((actorId) => first.saveEvent(sample({ actorId, version }))));
      const versions = await second.getLatestVersions(ids, { fresh: true });
      equal([...versions.values()], ids.map(() => version), "latest versions");
      const histories = await second.getEventsOf(ids);
      equal([...histories.values()].map((it) => it.length), ids.map(() => version), "events");
    }
  });

  test("getEventsOf() decodes and brings up to date as getEvents() does", async ({ open }) => {
    const upcasters = { Placed: [(data: unknown) => ({ cents: data })] };
    const store = await open({ upcasters, codec: new JsonCodec() });
    const make = (actorId: string, version: number): Event =>
      sample({ actorId, version, eventType: "Placed", data: { cents: version } });
    await store.saveEvents([make("a-1", 1), make("b-1", 1)]);
    await store.saveEvent(make("b-1", 2));
    for (const [actorId, events] of await store.getEventsOf(["a-1", "b-1"])) {
      equal(events, await store.getEvents(actorId), `events of ${actorId}`);
    }
  });

  test("changes to a result of getEventsOf() do not reach the store", async ({ open }) => {
    const store = await open();
    const event = sample({ data: { items: [1] } });
    await store.saveEvent(event);
    const [first] = (await store.getEventsOf(["order-1"])).get("order-1")!;
    (first!.data as { items: number[] }).items.push(2);
    first!.timestamp.setTime(0);
    equal((await store.getEventsOf(["order-1"])).get("order-1"), [event], "events");
  });
}
