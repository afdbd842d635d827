import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { Decider, Event } from "../../store/mod.ts";
import { deciderSpec } from "../../testing/mod.ts";

type Line = { sku: string; pieces: number };
type Placed = Event<"OrderPlaced", { lines: Line[]; notes: string[] }>;

/** Keeps the lines of what was placed. */
const order: Decider<{ lines: Line[] }, { place: string[] }, Placed> = {
  initialState: () => ({ lines: [] }),
  evolve: ({ lines }, { data }) => ({ lines: [...lines, ...data.lines] }),
  decide: ({ place }) => ({
    eventType: "OrderPlaced",
    data: { lines: place.map((sku) => ({ sku, pieces: 1 })), notes: [] },
  }),
};

const spec = deciderSpec(order);
const line = (sku: string) => ({ sku, pieces: 1 });

Deno.test("drafts and states may be `as const`, though the events hold arrays that can change", () => {
  const placed = {
    eventType: "OrderPlaced",
    data: { lines: [{ sku: "pen", pieces: 1 }], notes: [] },
  } as const;
  spec.given([placed]).thenState({ lines: [{ sku: "pen", pieces: 1 }] } as const);
  spec.given().when({ place: ["pen"] }).then(placed);
  spec.given(placed).when({ place: ["pen"] }).then([placed] as const);
  const wrong = { ...placed, data: { lines: [{ sku: "pen", pieces: "1" }], notes: [] } } as const;
  // @ts-expect-error: pieces are a number.
  const refused = () => spec.given([wrong]);
  assertEquals(typeof refused, "function");
});

Deno.test("a failure names the first difference, and compares the rest line by line", () => {
  const draft = (...skus: string[]) =>
    ({ eventType: "OrderPlaced", data: { lines: skus.map(line), notes: [] } }) as const;
  const skus = ["pen", "ink", "paper", "a nib of gold", "a blotter"];
  const wrong = () => spec.given().when({ place: skus.toSpliced(1, 1) }).then(draft(...skus));
  const [first, ...rest] = assertThrows(wrong, Error).message.split("\n");
  assertMatch(first!, /^Expected events\.0\.data\.lines to be \[\{"sku":"pen".*, got \[/);
  assertEquals(rest, [
    "",
    "- expected",
    "+ got",
    "",
    '      "data": {',
    '        "lines": [',
    '          {"sku":"pen","pieces":1}',
    '-         {"sku":"ink","pieces":1}',
    '          {"sku":"paper","pieces":1}',
    '          {"sku":"a nib of gold","pieces":1}',
    '          {"sku":"a blotter","pieces":1}',
    "  …",
  ]);
});

Deno.test("maps, sets, dates and errors are compared by what they hold", () => {
  const of = <State>(state: State) =>
    deciderSpec<State, never, Event>({
      initialState: () => state,
      evolve: (state) => state,
      decide: () => [],
    }).given();
  const message = (check: () => void) => assertThrows(check, Error).message.split("\n")[0];
  of(new Map([["a", { n: 1 }]])).thenState(new Map([["a", { n: 1 }]]));
  assertEquals(
    message(() => of(new Map([["a", { n: 1 }]])).thenState(new Map([["a", { n: 2 }]]))),
    "Expected state.a.n to be 2, got 1",
  );
  assertEquals(
    message(() => of(new Map([["a", 1]])).thenState(new Map([["b", 1]]))),
    "Expected state.b to be 1, got nothing",
  );
  assertEquals(
    message(() => of(new Map([["a", 1]])).thenState(new Map())),
    "Expected no state.a, got 1",
  );
  assertEquals(
    message(() => of(new Set([1])).thenState(new Set([2]))),
    "Expected state.0 to be 2, got 1",
  );
  assertEquals(
    message(() => of({ at: new Date(1) }).thenState({ at: new Date(0) })),
    "Expected state.at to be Date(1970-01-01T00:00:00.000Z), got Date(1970-01-01T00:00:00.001Z)",
  );
  assertEquals(
    message(() => of({ error: new Error("a") }).thenState({ error: new Error("b") })),
    "Expected state.error to be Error: b, got Error: a",
  );
  const cycle: { own?: unknown } = {};
  cycle.own = cycle;
  assertEquals(
    message(() => of<{ own?: unknown }>(cycle).thenState({ own: 1 })),
    'Expected state.own to be 1, got {"own":[a cycle]}',
  );
});
