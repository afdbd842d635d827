import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { jsonProblem, TOO_MANY } from "../../../store/base/json_fidelity.ts";
import {
  createEvent,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
} from "../../../store/mod.ts";

Deno.test("jsonProblem() names the place", () => {
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
  for (const [value, problem] of known) assertEquals(jsonProblem(value, "data"), problem);
  assertMatch(jsonProblem(-0, "data")!, /^data is -0/);
  assertMatch(jsonProblem({ at: new Date() }, "data")!, /^data\.at is a Date with toJSON\(\)/);
});

Deno.test("jsonProblem() distinguishes a cycle from an object in two places", () => {
  const shared = { x: 1 };
  assertEquals(jsonProblem({ a: shared, b: [shared, shared] }, "data"), undefined);
  const cycle: Record<string, unknown> = { shared };
  cycle.self = [cycle];
  assertMatch(jsonProblem(cycle, "data")!, /^data\.self\[0\] refers back/);
});

Deno.test("jsonProblem() passes plain data of another realm, and data without a prototype", () => {
  const bare = Object.create(null);
  bare.x = [1];
  assertEquals(jsonProblem(bare, "data"), undefined);
  // Another realm's root prototype is another object, with nothing behind it either.
  const root = Object.create(null, { constructor: { value: function Object() {} } });
  assertEquals(jsonProblem(Object.setPrototypeOf({ x: 1 }, root), "data"), undefined);
  const list = Object.setPrototypeOf([1], null);
  assertMatch(jsonProblem(list, "data")!, /^data is an object, not an array/);
});

Deno.test("jsonProblem() refuses very deep data without running out of stack", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level++) deep = [deep];
  assertMatch(jsonProblem(deep, "data")!, /is nested deeper than 500 levels$/);
});

/** `[x, x]` within `[x, x]`, and so on: few objects, but JSON would write 2^`levels`. */
function shared(levels: number, leaf: unknown = 1): unknown {
  return Array.from({ length: levels }).reduce((value) => [value, value], leaf);
}

Deno.test("jsonProblem() looks at no more values than its limit", () => {
  assertEquals(jsonProblem([1, 2, 3], "data", 4), undefined);
  assertEquals(jsonProblem([1, 2, 3], "data", 3), TOO_MANY);
  assertEquals(jsonProblem({ a: [1, { b: null }] }, "data", 5), undefined);
  assertEquals(jsonProblem({ a: [1, { b: null }] }, "data", 4), TOO_MANY);
  assertEquals(jsonProblem(shared(400), "data", 1_000_000), TOO_MANY);
});

Deno.test("data that shares objects too often to be written is too large", async () => {
  await using store = new InMemoryEventStore();
  await using snapshots = new InMemorySnapshotStore();
  const event = { eventType: "Shared", actorId: "order-1", version: 1 };
  const small = createEvent({ ...event, data: shared(10) });
  assertEquals((await store.saveEvent(small)).duplicate, false);
  const large = createEvent({ ...event, version: 2, data: shared(400) });
  const error = await assertRejects(() => store.saveEvent(large));
  assert(isAetherError(error, "EventTooLargeError"), String(error));
  const facts = {
    actorId: "order-1",
    name: "order",
    version: 1,
    schemaVersion: 1,
    timestamp: new Date(),
  };
  const refusal = await assertRejects(() =>
    snapshots.saveSnapshot({ ...facts, state: shared(400) })
  );
  assert(isAetherError(refusal, "InvalidSnapshotError"), String(refusal));
});

Deno.test("data that jsonProblem() passes survives JSON", () => {
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
      if (jsonProblem(value, "data") !== undefined) return;
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
