import { Buffer } from "node:buffer";
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { freshCopy, handOut, isUncopied } from "../../../store/base/fresh.ts";
import { nastyValues, spoil } from "../../support/nasty.ts";

class Own {
  #hidden = 1;
  get hidden(): number {
    return this.#hidden;
  }
}

const make = () => ({
  text: "a",
  list: [{ n: 1 }, [2]],
  map: new Map([["k", { n: 1 }]]),
  set: new Set([1]),
  date: new Date(5),
  bytes: Uint8Array.of(1, 2),
  bare: Object.assign(Object.create(null), { n: [1] }),
});

Deno.test("Changes of copies do not reach the original", () => {
  const value = make();
  const { value: given, isSafe } = handOut(value);
  assert(isSafe);
  assertEquals(given, make());
  given.bytes[0] = 9;
  spoil(given);
  assertEquals(value, make());
  // The control: handed out as it is, it does not stand that.
  spoil(value);
  assert(value.text !== "a");
});

Deno.test("A copy shares no bytes, whatever the type of the array", () => {
  for (const bytes of [Buffer.from([1, 2]), Float64Array.of(1, 2), Uint8ClampedArray.of(1, 2)]) {
    const copied = freshCopy({ bytes });
    assertStrictEquals(Object.getPrototypeOf(copied.bytes), Object.getPrototypeOf(bytes));
    copied.bytes[0] = 9;
    assertEquals([...bytes], [1, 2]);
  }
});

Deno.test("Cycles, shared parts and great depth are copied", () => {
  const own: Record<string, unknown> = { n: 1 };
  own.self = own;
  const copied = freshCopy(own);
  assertStrictEquals(copied.self, copied);
  assert(copied !== own);
  let pair: unknown = [1];
  for (let level = 0; level < 60; level++) pair = [pair, pair]; // 2^60 places of one array.
  const [one, other] = freshCopy(pair) as [unknown, unknown];
  assertStrictEquals(one, other);
  let deep: unknown = {};
  for (let level = 0; level < 1_000; level++) deep = { deep };
  assertEquals(handOut(deep).isSafe, true);
});

Deno.test("A frozen value is handed out as it is, and frozen in depth", () => {
  const value = Object.freeze({ list: [{ n: 1 }], own: new Own() });
  assertStrictEquals(handOut(value).value, value);
  spoil(value);
  assertEquals(value.list, [{ n: 1 }]);
  assertEquals(value.own.hidden, 1);
});

Deno.test("A frozen value is copied if there is content in it that freezing does not reach", () => {
  const open = [
    new Map([["k", 1]]),
    new Set([1]),
    new Date(5),
    Uint8Array.of(1),
    Object.freeze(new Map()),
  ];
  for (const content of open) {
    const inner = { content };
    for (const value of [Object.freeze({ inner }), Object.freeze([inner])]) {
      const { value: given, isSafe } = handOut(value);
      assert(isSafe);
      assertEquals(given, value);
      const [{ content: other }] = Object.values(given) as [typeof inner];
      assert(other !== content);
      assert(!Object.isFrozen(inner), "what is copied need not be frozen");
    }
    assert(freshCopy(content) !== content);
  }
  // Also if a part of it has been handed out, and if it holds itself.
  const part = Object.freeze({ n: 1 });
  const own: Record<string, unknown> = { part, dates: [new Date(5)] };
  own.self = Object.freeze({ own });
  assertStrictEquals(handOut(part).value, part);
  for (const value of [own.self, Object.freeze(own), own.self]) {
    assert(handOut(value).value !== value);
  }
});

Deno.test("An instance of a class is shared, and says so if it is the value itself", () => {
  const own = new Own();
  assertStrictEquals(freshCopy({ own }).own, own);
  assertEquals(handOut(own), { value: own, isSafe: false });
  assert(isUncopied(own));
  const frozen = Object.freeze(new Own());
  for (
    const safe of [{ own }, [own], new Map(), new Set(), new Date(), new Uint8Array(1), frozen]
  ) {
    assert(handOut(safe).isSafe && !isUncopied(safe));
  }
});

Deno.test("Any value can be handed out", () => {
  for (const [name, make] of nastyValues()) {
    const value = make();
    const given = handOut(value);
    assert(typeof given.isSafe === "boolean", name);
    if (!given.isSafe) assert(Object.is(given.value, value), name);
  }
});
