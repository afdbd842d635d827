/**
 * What the specs and the suites take for the same.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { differ } from "../../testing/difference.ts";
import { deciderSpec } from "../../testing/mod.ts";

/** Keeps its amount to itself. */
class Hidden {
  readonly #amount: number;
  constructor(amount: number) {
    this.#amount = amount;
  }
  isMore(than: number): boolean {
    return this.#amount > than;
  }
}

/** Shows it. */
class Money extends Hidden {
  readonly #shown: bigint;
  constructor(amount: number) {
    super(amount);
    this.#shown = BigInt(amount);
  }
  toJSON(): unknown {
    return { amount: this.#shown };
  }
}

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}

class Open {}
class Closed {}

const withoutPrototype = (value: object) => Object.assign(Object.create(null), value);

/** Values that are made twice, and one of another value. */
const MADE: Record<string, (other: boolean) => unknown> = {
  URL: (other) => new URL(other ? "http://a/" : "http://b/"),
  URLSearchParams: (other) => new URLSearchParams(other ? "a=1" : "a=2"),
  RegExp: (other) => other ? /a/ : /b/,
  ArrayBuffer: (other) => new Uint8Array([1, other ? 2 : 3]).buffer,
  SharedArrayBuffer: (other) => new SharedArrayBuffer(other ? 1 : 2),
  DataView: (other) => new DataView(new Uint8Array([other ? 2 : 3]).buffer),
  Uint8Array: (other) => new Uint8Array([1, other ? 2 : 3]),
  Float64Array: (other) => new Float64Array([other ? 0 : -0]),
  number: (other) => Object(other ? 1 : 2),
  text: (other) => Object(other ? "a" : "b"),
  "a Temporal date": (other) => Temporal.PlainDate.from(other ? "2026-01-01" : "2027-01-01"),
  "a class with toJSON()": (other) => new Money(other ? 1 : 2),
  "a class with properties": (other) => new Point(other ? 1 : 2),
  "a class without any": (other) => other ? new Open() : new Closed(),
  "a list of them": (other) => [{ url: new URL(other ? "http://a/" : "http://b/") }],
  "a map of them": (other) => new Map([["url", new URL(other ? "http://a/" : "http://b/")]]),
  "a set of them": (other) => new Set([new Point(other ? 1 : 2)]),
};

for (const [what, make] of Object.entries(MADE)) {
  Deno.test(`specs compare what is in ${what}`, () => {
    const spec = deciderSpec({
      ...{ initialState: () => make(false), evolve: (state: unknown) => state },
      decide: () => ({ eventType: "Made", data: make(false) }),
    });
    spec.given().thenState(make(false));
    spec.given().when(null).then({ eventType: "Made", data: make(false) });
    assertThrows(() => spec.given().thenState(make(true)), Error, "Expected state");
    const other = { eventType: "Made", data: make(true) } as const;
    assertThrows(() => spec.given().when(null).then(other), Error, "Expected events");
  });
}

Deno.test("objects of different classes differ, and plain ones have no class", () => {
  for (
    const [left, right] of [
      [new URL("http://a/"), {}],
      [new Uint8Array([1]), { 0: 1 }],
      [new Uint8Array([1]), new Int8Array([1])],
      [new Point(1), { x: 1 }],
      [Promise.resolve(1), {}],
    ] as const
  ) {
    for (const [actual, expected] of [[left, right], [right, left]]) {
      assertThrows(() => {
        const found = differ(actual, expected, "it");
        if (found !== undefined) throw new Error(found);
      });
    }
  }
  assertEquals(differ(withoutPrototype({ a: 1 }), { a: 1 }, "it"), undefined);
  assertEquals(differ(new Point(1), { x: 1 }, "it"), 'Expected it to be {"x":1}, got Point{"x":1}');
});

Deno.test("what nobody sees into cannot be compared, and is not taken for the same", () => {
  assertEquals(
    differ({ price: new Hidden(1) }, { price: new Hidden(1) }, "state"),
    "Cannot compare state.price: nobody sees all that is in Hidden(); give its class a toJSON()",
  );
  const same = new Hidden(1);
  assertEquals(differ({ price: same }, { price: same }, "state"), undefined);
  assertEquals(
    differ(new URL("http://a/"), new URL("http://b/"), "state"),
    'Expected state to be "http://b/", got "http://a/"',
  );
  assertEquals(differ(/a/, /b/g, "state"), "Expected state to be RegExp(/b/g), got RegExp(/a/)");
  assertEquals(
    differ(new Uint8Array([1]), new Uint8Array([2]), "state"),
    "Expected state to be Uint8Array(2), got Uint8Array(1)",
  );
});

Deno.test("what an instance hides beside its properties counts, and what a class above it hides", () => {
  class Heir extends Hidden {}
  class Account {
    readonly id = 1;
    readonly #amount: number;
    constructor(amount: number) {
      this.#amount = amount;
    }
    isMore(than: number): boolean {
      return this.#amount > than;
    }
  }
  class Shown extends Account {
    readonly #copy: number;
    constructor(amount: number) {
      super(amount);
      this.#copy = amount;
    }
    toJSON(): unknown {
      return { amount: this.#copy };
    }
  }
  const hidden = (what: string) =>
    `Cannot compare it: nobody sees all that is in ${what}; give its class a toJSON()`;
  assertEquals(differ(new Heir(1), new Heir(2), "it"), hidden("Heir()"));
  assertEquals(differ(new Account(1), new Account(2), "it"), hidden('Account{"id":1}'));
  assertEquals(differ(new Shown(1), new Shown(1), "it"), undefined);
  assertEquals(differ(new Shown(1), new Shown(2), "it"), "Expected it.amount to be 2, got 1");
});

Deno.test("values that hold themselves are compared, and differ where they differ", () => {
  const own = (last: number) => {
    const map = new Map<string, unknown>();
    const list: unknown[] = [map, new Set([map])];
    return map.set("map", map).set("list", list).set("last", last);
  };
  assertEquals(differ(own(1), own(1), "it"), undefined);
  assertEquals(differ(own(1), own(2), "it"), "Expected it.last to be 2, got 1");
  const deep: unknown[] = [];
  deep.push([deep]);
  const flat: unknown[] = [];
  flat.push(flat);
  assertEquals(differ(deep, flat, "it"), undefined); // Nobody who walks them sees a difference.
});

Deno.test("a map whose keys are objects is compared entry by entry", () => {
  const due = (time: number, what: string) => new Map([[new Date(time), what]]);
  assertEquals(differ(due(1, "a"), due(1, "a"), "it"), undefined);
  assertEquals(differ(due(1, "a"), due(1, "b"), "it"), 'Expected it.0.1 to be "b", got "a"');
  assertEquals(
    differ(due(1, "a"), due(2, "a"), "it"),
    "Expected it.0.0 to be Date(1970-01-01T00:00:00.002Z), got Date(1970-01-01T00:00:00.001Z)",
  );
});

Deno.test("the length of a list counts, and the order of a set does not", () => {
  const longer = [1];
  longer.length = 2;
  assertEquals(differ([1], longer, "it"), "Expected it to be [1,], got [1]");
  assertEquals(differ(new Set([1, "a"]), new Set(["a", 1]), "it"), undefined);
  assertEquals(differ(new Set([1, 2]), new Set([2, 3]), "it"), "Expected it.0 to be 2, got 1");
});
