import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { unfaithful } from "../store/faithful.ts";

Deno.test("unfaithful() names the place", () => {
  class Money {}
  const known: [unknown, string][] = [
    [undefined, "data is undefined"],
    [[1, [undefined]], "data[1][0] is undefined"],
    [{ items: [1, 2, NaN] }, "data.items[2] is NaN"],
    [{ a: { b: -Infinity } }, "data.a.b is -Infinity"],
    [{ a: 1n }, "data.a is a bigint"],
    [{ a: () => {} }, "data.a is a function"],
    [{ a: Symbol() }, "data.a is a symbol"],
    [{ a: new Map() }, "data.a is a Map, not a plain object"],
    [[new Money()], "data[0] is a Money, not a plain object"],
    [{ a: [, 1] }, "data.a[0] is undefined"],
  ];
  for (const [value, problem] of known) assertEquals(unfaithful(value, "data"), problem);
  assertMatch(unfaithful(-0, "data")!, /^data is -0/);
  assertMatch(unfaithful({ at: new Date() }, "data")!, /^data\.at is a Date with toJSON\(\)/);
});

Deno.test("unfaithful() tells a cycle from an object that stands in two places", () => {
  const shared = { x: 1 };
  assertEquals(unfaithful({ a: shared, b: [shared, shared] }, "data"), undefined);
  const cycle: Record<string, unknown> = { shared };
  cycle.self = [cycle];
  assertMatch(unfaithful(cycle, "data")!, /^data\.self\[0\] refers back/);
});

Deno.test("unfaithful() passes plain data of another realm, and data without a prototype", () => {
  const bare = Object.create(null);
  bare.x = [1];
  assertEquals(unfaithful(bare, "data"), undefined);
  // Another realm's root prototype is another object, with nothing behind it either.
  const root = Object.create(null, { constructor: { value: function Object() {} } });
  assertEquals(unfaithful(Object.setPrototypeOf({ x: 1 }, root), "data"), undefined);
  const list = Object.setPrototypeOf([1], null);
  assertMatch(unfaithful(list, "data")!, /^data is an object, not an array/);
});

Deno.test("unfaithful() refuses very deep data without running out of stack", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level++) deep = [deep];
  assertMatch(unfaithful(deep, "data")!, /is nested deeper than 500 levels$/);
});

Deno.test("what unfaithful() passes is what JSON gives back", () => {
  const data = fc.oneof(
    fc.jsonValue(),
    fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      withNullPrototype: true,
    }),
  );
  let passed = 0;
  fc.assert(
    fc.property(data, (value) => {
      if (unfaithful(value, "data") !== undefined) return;
      passed++;
      assertEquals(JSON.parse(JSON.stringify(value)), plain(value));
    }),
    { numRuns: 3000 },
  );
  if (passed < 1000) throw new Error(`Only ${passed} values say anything`);
});

/** `value` without properties that are undefined, with ordinary prototypes. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.map(([key, each]) => [key, plain(each)]));
}
