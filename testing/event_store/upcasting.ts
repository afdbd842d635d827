import { FORGOTTEN } from "../../store/codec.ts";
import type { CorruptEventError, UnknownSchemaError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import type { EventStore } from "../../store/store.ts";
import type { Upcasters } from "../../store/upcast.ts";
import { equal, rejects } from "../assert.ts";
import {
  gather,
  holds,
  JsonCodec,
  learns,
  nextOf,
  readEveryWay,
  readPaths,
  sample,
  type StoreTest,
} from "./kit.ts";

/** The history of a type: a total in cents, then in euros, then with its currency. */
const STEPS = [
  (data: unknown) => ({ total: (data as { cents: number }).cents / 100 }),
  (data: unknown, { actorId }: Event) => ({ ...data as { total: number }, of: actorId }),
];
const FIRST: Upcasters = {};
const SECOND: Upcasters = { Placed: STEPS.slice(0, 1) };
const THIRD: Upcasters = { Placed: STEPS };

const placed = (version: number, data: unknown): Event =>
  sample({ actorId: "order-1", eventType: "Placed", version, data });

/** Upcasters: old events in their newest shape. Each test opens newer code after older code. */
export function upcasting(test: StoreTest, together: StoreTest): void {
  test("an event is saved in the newest shape, without upcasting", async ({ open }) => {
    const store = await open({ upcasters: THIRD });
    const events = [
      placed(1, { total: 1, of: "order-1" }),
      sample({ version: 2, eventType: "Paid", data: { cents: 1 } }),
      ...["constructor", "__proto__", "toString"].map((eventType, at) =>
        sample({ version: 3 + at, eventType, data: { cents: 1 } })
      ),
    ];
    await store.saveEvent(events[0]!);
    await store.saveEvents(events.slice(1));
    await holds(store, events);
    for (const [path, seen] of await readEveryWay(store, "order-1")) {
      equal(seen.map(({ data }) => data), events.map(({ data }) => data), `data by ${path}`);
    }
  });

  together("events of all ages are in the newest shape on every way to read", async ({ open }) => {
    const oldest = await open({ upcasters: FIRST });
    await oldest.saveEvent(placed(1, { cents: 150 }));
    await oldest.saveEvents([placed(2, { cents: 250 }), sample({ version: 3, data: "other" })]);
    const older = await open({ upcasters: SECOND });
    await older.saveEvent(placed(4, { total: 3.5 }));
    await reads(older, [{ total: 1.5 }, { total: 2.5 }, "other", { total: 3.5 }]);
    const newest = await open({ upcasters: THIRD });
    await newest.saveEvents([placed(5, { total: 4.5, of: "me" }), placed(6, { total: 5, of: "" })]);
    const of = "order-1";
    const data = [{ total: 1.5, of }, { total: 2.5, of }, "other", { total: 3.5, of }];
    await reads(newest, [...data, { total: 4.5, of: "me" }, { total: 5, of: "" }]);
  });

  together("what is stored stays as it was", async ({ open }) => {
    const seen: string[] = [];
    class Watching extends JsonCodec {
      override decode(bytes: Uint8Array): Event | Promise<Event> {
        seen.push(new TextDecoder().decode(bytes));
        return super.decode(bytes);
      }
    }
    const codec = new Watching();
    const older = await open({ upcasters: FIRST, codec });
    await older.saveEvent(placed(1, { cents: 150 }));
    await older.getEvents("order-1");
    const newer = await open({ upcasters: THIRD, codec });
    await learns(newer, "order-1", 1);
    for (const _ of [1, 2]) await readEveryWay(newer, "order-1");
    equal([...new Set(seen)].length, 1, "number of different bytes");
  });

  together("what newer code saved is UnknownSchemaError to older code", async ({ open }) => {
    const newer = await open({ upcasters: THIRD });
    const { sequence } = await newer.saveEvent(placed(1, { total: 1, of: "" }));
    await newer.saveEvent(sample({ version: 2 }));
    const older = await open({ upcasters: SECOND });
    await learns(older, "order-1", 2);
    const calls: [string, () => Promise<unknown>][] = [
      ["getEvents()", () => older.getEvents("order-1")],
      ...Object.entries(readPaths("order-1")).map(([path, read]): [
        string,
        () => Promise<unknown>,
      ] => [path, () => gather(read(older))]),
    ];
    for (const [path, call] of calls) {
      const error = await rejects<UnknownSchemaError>(call, "UnknownSchemaError", path);
      equal([error.sequence, error.eventType], [sequence, "Placed"], `place and type by ${path}`);
      equal([error.schema, error.known], [3, 2], `schemas by ${path}`);
    }
    const { events, errors } = await older.getEventsWithErrors("order-1");
    equal(events.map(({ version }) => version), [2], "versions beside it");
    equal(errors.map((error) => error.sequence), [sequence], "places of what cannot be read");
    const { error } = errors[0]!;
    equal([error.name, error.sequence], ["CorruptEventError", sequence], "its error");
    equal((error.cause as Error).name, "UnknownSchemaError", "why it cannot be read");
    equal((await older.getEvents("order-1", 2)).length, 1, "number of events behind it");
    equal(await older.getLatestVersion("order-1", { fresh: true }), 2, "latest version");
  });

  together("a step that fails is CorruptEventError, with its place", async ({ open }) => {
    const reason = new Error("no such field");
    const steps = [
      () => {
        throw reason;
      },
      () => undefined,
      () => Promise.resolve({ total: 1 }),
    ];
    for (const [at, step] of steps.entries()) {
      const actorId = `order-${at}`;
      const old = await open({ upcasters: FIRST });
      const { sequence } = await old.saveEvent({ ...placed(1, { cents: 1 }), actorId });
      await old.saveEvent(sample({ actorId, version: 2 }));
      const store = await open({ upcasters: { Placed: [step] } });
      await learns(store, actorId, 2);
      const call = () => store.getEvents(actorId);
      const error = await rejects<CorruptEventError>(call, "CorruptEventError");
      equal(error.sequence, sequence, "place");
      if (at === 0) equal(error.cause, reason, "cause");
      const { events, errors } = await store.getEventsWithErrors(actorId);
      equal(events.map(({ version }) => version), [2], "versions of what can be read");
      equal(errors.map((each) => each.sequence), [sequence], "places of what cannot");
      const last = store.readEvents(actorId, { direction: "backwards", limit: 1 });
      equal((await nextOf(last)).version, 2, "the last event, which is sound");
    }
  });

  together("what is forgotten is not brought up to date", async ({ open }) => {
    class Forgetful extends JsonCodec {
      override decode(bytes: Uint8Array): Event {
        return { ...super.decode(bytes) as Event, data: FORGOTTEN };
      }
    }
    const codec = new Forgetful();
    await (await open({ upcasters: FIRST, codec })).saveEvent(placed(1, { cents: 1 }));
    await reads(await open({ upcasters: THIRD, codec }), [FORGOTTEN]);
  });
}

async function reads(store: EventStore, data: readonly unknown[]): Promise<void> {
  await learns(store, "order-1", data.length);
  for (const [path, seen] of await readEveryWay(store, "order-1")) {
    equal(seen.map((event) => event.data), data, `data by ${path}`);
  }
}
