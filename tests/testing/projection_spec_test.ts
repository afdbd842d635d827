import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { VersionedTable } from "../../adapters/sqlite/mod.ts";
import type { Event, EventFilter, ProjectionContext, RecordedEvent } from "../../store/mod.ts";
import { projectionSpec, type ProjectionSpecOptions, reactorSpec } from "../../testing/mod.ts";

type Placed = Event<"OrderPlaced", { customer: string; lines: number[] }>;

const placed = (customer: string, ...lines: number[]) =>
  ({ eventType: "OrderPlaced", data: { customer, lines } }) as const;

/** Sums by customer, in memory. */
function sums(filter?: EventFilter, options?: ProjectionSpecOptions) {
  return projectionSpec(() => {
    const model: Record<string, number> = {};
    return {
      handler: ({ data: { customer, lines } }: Placed) => {
        if (lines.length === 0) throw new RangeError("an order has no lines");
        model[customer] = lines.reduce((sum, line) => sum + line, model[customer] ?? 0);
      },
      read: () => model,
      ...(filter && { filter }),
    };
  }, options);
}

Deno.test("projectionSpec() passes if the events make the expected read model", async () => {
  const spec = sums();
  await spec.given().then({});
  await spec.given(placed("ada", 1)).then({ ada: 1 });
  await spec.given([placed("ada", 1, 2), placed("bob", 4), placed("ada", 3)])
    .then({ ada: 6, bob: 4 });
  const filtered = sums({ category: "order" });
  await filtered.given([
    { ...placed("ada", 1), actorId: "order-1" },
    { ...placed("bob", 1), actorId: "offer-1" },
  ]).then({ ada: 1 });
});

Deno.test("projectionSpec() calls a handler that is a method of a class as such", async () => {
  class Sums {
    readonly #sums: Record<string, number> = {};
    handler({ data: { customer, lines } }: Placed): void {
      this.#sums[customer] = lines.length;
    }
    read(): Record<string, number> {
      return this.#sums;
    }
  }
  await projectionSpec(() => new Sums()).given(placed("ada", 1, 2)).then({ ada: 2 });
});

Deno.test("projectionSpec() names the place that differs, and what a handler threw", async () => {
  const spec = sums();
  const message = async (check: () => Promise<void>) =>
    (await assertRejects(check, Error)).message.split("\n")[0];
  assertEquals(
    await message(() => spec.given(placed("ada", 1)).then({ ada: 2 })),
    "Expected read model.ada to be 2, got 1",
  );
  assertEquals(
    await message(() => spec.given([placed("ada", 1), placed("bob")]).then({ ada: 1 })),
    'Cannot handle OrderPlaced, version 2 of "given": the handler threw RangeError: an order has no lines',
  );
  const awaited = async () => await (spec.given() as unknown as PromiseLike<void>);
  assertMatch((await assertRejects(awaited, Error)).message, /^Cannot await given\(\)/);
});

Deno.test("projectionSpec() passes if the handler throws the expected error at the last event", async () => {
  const spec = sums();
  await spec.given([placed("ada", 1), placed("bob")]).thenThrows(RangeError);
  await spec.given(placed("bob")).thenThrows(new RangeError("an order has no lines"));
  await assertRejects(() => spec.given(placed("bob")).thenThrows(TypeError), Error, "TypeError");
  await assertRejects(() => spec.given(placed("ada", 1)).thenThrows(RangeError), Error, "ada");
  await assertRejects(
    () => spec.given([placed("bob"), placed("bob")]).thenThrows(RangeError),
    Error,
    "version 1",
  );
});

Deno.test("projectionSpec() fails a handler that counts an event twice, where that may come twice", async () => {
  const options = { atLeastOnce: true };
  const twice = () => sums({}, options).given(placed("ada", 1)).then({ ada: 1 });
  assertMatch(
    (await assertRejects(twice, Error)).message,
    /^Expected read model\.ada to be 1, got 2, when all events came again$/,
  );
  const careful = projectionSpec(() => {
    const model = new Map<string, { sum: number; sequence: number }>();
    return {
      handler: ({ data: { customer, lines }, sequence }: Placed & RecordedEvent) => {
        const { sum, sequence: last } = model.get(customer) ?? { sum: 0, sequence: 0 };
        if (sequence <= last) return;
        model.set(customer, { sum: sum + lines.length, sequence });
      },
      read: () => new Map([...model].map(([customer, { sum }]) => [customer, sum])),
    };
  }, options);
  await careful.given([placed("ada", 1), placed("ada", 2, 3)]).then(new Map([["ada", 3]]));
});

Deno.test("projectionSpec() gives a handler its transaction and version, and closes what it opened", async () => {
  const closed: DatabaseSync[] = [];
  const spec = (version: number) =>
    projectionSpec<unknown, DatabaseSync, Placed>(() => {
      const db = new DatabaseSync(":memory:");
      const table = new VersionedTable("sums", (name) => `CREATE TABLE ${name} (customer TEXT)`);
      table.prepare(db);
      return {
        handler: ({ data }, context: ProjectionContext<DatabaseSync>) => {
          context.tx.prepare(`INSERT INTO ${table.of(context)} VALUES (?)`).run(data.customer);
        },
        tx: db,
        read: () => db.prepare("SELECT * FROM sums").all(),
        close: () => {
          closed.push(db);
          db.close();
        },
      };
    }, { version });
  await spec(1).given(placed("ada", 1)).then([{ customer: "ada" }]);
  await spec(2).given(placed("ada", 1)).then([]); // the view still shows version 1
  await assertRejects(() => spec(1).given(placed("ada", 1)).then([]), Error, "ada");
  assertEquals(closed.length, 3);
});

Deno.test("projectionSpec() goes by the options and events of the call", async () => {
  const options = { version: 1, isReplay: false, atLeastOnce: false };
  const seen: unknown[] = [];
  const spec = projectionSpec<unknown, undefined, Placed>(() => ({
    handler: ({ data }, { version, isReplay }) => void seen.push(data.customer, version, isReplay),
    read: () => seen,
  }), options);
  const events = [placed("ada", 1)];
  const given = spec.given(events);
  Object.assign(options, { version: 2, isReplay: true, atLeastOnce: true });
  events[0] = placed("bob", 1);
  await given.then(["ada", 1, false]);
});

Deno.test("projectionSpec() and reactorSpec() refuse a filter that no event can meet", async () => {
  const filter = { category: "order-line" };
  const line = { ...placed("ada", 1), actorId: "order-line-1" };
  await assertRejects(() => sums(filter).given(line).then({}), RangeError, "dash");
  await assertRejects(() => sums(filter).given(line).thenThrows(RangeError), RangeError, "dash");
  assertThrows(() => reactorSpec({ filter, react: () => {} }), RangeError, "dash");
});
