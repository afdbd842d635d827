import { appendEvents } from "../../store/append.ts";
import { FORGOTTEN } from "../../store/codec.ts";
import { execute } from "../../store/command/execute.ts";
import type { CorruptEventError, InvalidEventError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import { defineEvents } from "../../store/schema/define_events.ts";
import type { StandardSchema } from "../../store/schema/standard.ts";
import { unchecked } from "../../store/schema/unchecked.ts";
import { schemaVersions } from "../../store/schema/versions.ts";
import type { EventStore } from "../../store/store.ts";
import { equal, ok, rejects } from "../assert.ts";
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

interface Cents {
  readonly cents: number;
}
interface Total {
  readonly total: number;
  readonly currency: string;
}

/** Euros by default, and nothing else in it. */
const TOTAL: StandardSchema<{ total: number; currency?: string }, Total> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => {
      const { total, currency = "EUR" } = value as Total;
      return typeof total === "number"
        ? { value: { total, currency } }
        : { issues: [{ message: "not a number", path: ["sums", { key: 0 }] }] };
    },
  },
};
const CENTS = schemaVersions(unchecked<Cents>());
const BOTH = CENTS.next(TOTAL, {
  up: ({ cents }) => ({ total: cents / 100, currency: "EUR" }),
  // The currency is lost.
  down: ({ total }) => ({ cents: total * 100 }),
});
const PLAIN = defineEvents({ Placed: TOTAL });
const CHECKING = defineEvents({ Placed: TOTAL }, { checkReads: true });

const placed = (version: number, data: unknown): Event =>
  sample({ actorId: "order-1", eventType: "Placed", version, data });

/** Definitions: events are checked when they are saved, and when they are read if that is asked. */
export function definitions(test: StoreTest, together: StoreTest): void {
  test("what a schema makes of an event's data is saved", async ({ open }) => {
    const store = await open({ events: PLAIN });
    const given = [placed(1, { total: 1, more: 1 }), placed(2, { total: 2, currency: "CHF" })];
    await store.saveEvent(given[0]!);
    await store.saveEvents(given.slice(1));
    const saved = [{ total: 1, currency: "EUR" }, { total: 2, currency: "CHF" }];
    await holds(store, given.map((event, at) => ({ ...event, data: saved[at] })));
    equal(given[0]!.data, { total: 1, more: 1 }, "the caller's data");
    const again = await store.saveEvents([given[0]!, { ...given[1]!, data: saved[1] }]);
    equal(again.duplicate, true, "whether saving them again is a repetition");
    const { events } = await appendEvents(store, "order-2", 0, [
      { eventType: "Placed", data: { total: 3 } },
    ]);
    await holds(store, events);
  });

  test("what a schema refuses is refused with its place, and nothing is saved", async ({ open }) => {
    const store = await open({ events: PLAIN });
    const sound = placed(1, { total: 1 });
    const bad = placed(2, { total: "1" });
    const error = await rejects<InvalidEventError>(
      () => store.saveEvents([sound, bad]),
      "InvalidEventError",
    );
    equal(error.path, ["sums", 0], "path");
    equal(error.issues, [{ message: "not a number", path: ["sums", 0] }], "issues");
    equal(error.reason, 'events[1]: data.sums[0] of "Placed": not a number', "reason");
    for (const eventType of ["Placd", "constructor", "__proto__", "jsonSchema", "CommandIssued"]) {
      const call = () => store.saveEvents([sound, { ...sound, id: "x", version: 2, eventType }]);
      const { reason, path } = await rejects<InvalidEventError>(call, "InvalidEventError");
      ok(reason.includes(`eventType ${JSON.stringify(eventType)} is not defined`), reason);
      equal(path, undefined, "path of an unknown type");
    }
    equal(await store.getEvents("order-1"), [], "events");
    await store.saveEvent(sound);
  });

  test("the events that a process keeps for itself need no definition", async ({ open }) => {
    const store = await open({ events: CHECKING });
    const actorId = "process:shipping-1";
    const own = ["CommandIssued", "CommandSettled", "EffectCalled", "EffectStarted", "EffectEnded"];
    own.push("DeadlineSet", "DeadlineCleared", "ProcessParked", "ProcessUnparked", "ProcessEnded");
    const events = own.map((eventType, at) => sample({ actorId, eventType, version: at + 1 }));
    await store.saveEvents(events);
    await holds(store, events);
    const version = own.length + 1;
    const fact = sample({ actorId, eventType: "Shipped", version });
    await rejects(() => store.saveEvent(fact), "InvalidEventError", "a fact without a definition");
    const known = { ...fact, eventType: "Placed", data: { total: 1, currency: "EUR" } };
    await store.saveEvent(known);
  });

  together("a check of reads finds what others have saved", async ({ open }) => {
    const free = await open();
    await free.saveEvent(placed(1, { total: 1, more: 1 }));
    const { sequence } = await free.saveEvent(placed(2, { total: "2" }));
    const rest = [sample({ version: 3, data: "another type" }), placed(4, { total: 4 })];
    await free.saveEvents(rest);
    const lax = await open({ events: PLAIN });
    await learns(lax, "order-1", 4);
    equal((await lax.getEvents("order-1")).length, 4, "events that are read without a check");

    const store = await open({ events: CHECKING });
    await learns(store, "order-1", 4);
    const calls: [string, () => Promise<unknown>][] = [
      ["getEvents()", () => store.getEvents("order-1")],
      ["getEventsOf()", () => store.getEventsOf(["order-1"])],
      ["subscribe()", () => gather(store.subscribe())],
      ...Object.entries(readPaths("order-1")).map(([path, read]): [
        string,
        () => Promise<unknown>,
      ] => [path, () => gather(read(store))]),
    ];
    for (const [path, call] of calls) {
      const error = await rejects<CorruptEventError>(call, "CorruptEventError", path);
      equal([error.sequence, error.event?.version], [sequence, 2], `place by ${path}`);
      ok(error.message.endsWith('data.sums[0] of "Placed": not a number'), error.message);
    }
    const { events, errors } = await store.getEventsWithErrors("order-1");
    const readable = [{ total: 1, more: 1 }, "another type", { total: 4 }];
    equal(events.map(({ data }) => data), readable, "data that can be read, as it was saved");
    equal(errors.map((each) => each.sequence), [sequence], "places of what cannot");
    const last = store.readEvents("order-1", { direction: "backwards", limit: 1 });
    equal((await nextOf(last)).version, 4, "the last event, which is sound");
  });

  test("a check of reads lets pass what is forgotten", async ({ open }) => {
    let forgotten: (event: Event) => Event = (event) => event;
    class Forgetful extends JsonCodec {
      override decode(bytes: Uint8Array): Event {
        return forgotten(super.decode(bytes) as Event);
      }
    }
    const sums = { ...TOTAL["~standard"] };
    const schema: StandardSchema<unknown> = {
      "~standard": {
        ...sums,
        validate: (value) =>
          typeof (value as { sums: number[] }).sums[0] === "number"
            ? { value }
            : { issues: [{ message: "not a number", path: ["sums", 0] }] },
      },
    };
    const events = defineEvents({ Placed: schema }, { checkReads: true });
    const store = await open({ events, codec: new Forgetful() });
    await store.saveEvent(placed(1, { sums: [1], more: 1 }));
    const changes: [string, unknown][] = [
      ["all of it", FORGOTTEN],
      ["a field", { sums: FORGOTTEN, more: 1 }],
      ["a part of a field", { sums: [FORGOTTEN], more: 1 }],
    ];
    for (const [what, data] of changes) {
      forgotten = (event) => ({ ...event, data });
      for (const [path, [event]] of await readEveryWay(store, "order-1")) {
        equal(event?.data, data, `data by ${path}, where ${what} is forgotten`);
      }
    }
    forgotten = (event) => ({ ...event, data: { sums: ["1"], more: FORGOTTEN } });
    await rejects(() => store.getEvents("order-1"), "CorruptEventError", "another field");
  });

  together("a new shape is read before anyone writes it", async ({ open }) => {
    const old = await open({ events: defineEvents({ Placed: CENTS }) });
    await old.saveEvent(placed(1, { cents: 100 }));
    const readers = await open({ events: defineEvents({ Placed: BOTH.writes(1) }) });
    await learns(readers, "order-1", 1);
    const event = placed(2, { total: 2, currency: "CHF" });
    await readers.saveEvent(event);
    equal((await readers.saveEvent(event)).duplicate, true, "whether saving it again is one");
    await readsAs(readers, [{ total: 1, currency: "EUR" }, { total: 2, currency: "EUR" }]);
    // A state is made of what will be read, not of what was decided.
    const { state } = await execute(readers, "order-1", {
      initialState: (): unknown[] => [],
      evolve: (seen, { data }) => [...seen, data],
      decide: () => ({ eventType: "Placed", data: { total: 3, currency: "CHF" } }),
    }, null);
    equal((state as Total[]).map(({ currency }) => currency), ["EUR", "EUR", "EUR"], "state");
    await learns(old, "order-1", 3);
    await readsAs(old, [{ cents: 100 }, { cents: 200 }, { cents: 300 }]);

    const writers = await open({ events: defineEvents({ Placed: BOTH }) });
    await learns(writers, "order-1", 3);
    await writers.saveEvent(placed(4, { total: 4, currency: "CHF" }));
    const all = [1, 2, 3].map((total) => ({ total, currency: "EUR" }));
    await readsAs(writers, [...all, { total: 4, currency: "CHF" }]);
    await learns(readers, "order-1", 4);
    await readsAs(readers, [...all, { total: 4, currency: "CHF" }]);
    await learns(old, "order-1", 4);
    await rejects(() => old.getEvents("order-1"), "UnknownSchemaError", "a read by older code");
  });
}

async function readsAs(store: EventStore, data: readonly unknown[]): Promise<void> {
  for (const [path, seen] of await readEveryWay(store, "order-1")) {
    equal(seen.map((event) => event.data), data, `data by ${path}`);
  }
}
