import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import type { Decider } from "../../store/mod.ts";
import { deciderSpec } from "../../testing/mod.ts";
import {
  add,
  ClosedError,
  type Counter,
  counter,
  type CounterCommand,
  type CounterEvent,
} from "../support/counter.ts";

const CLOSED = { eventType: "Closed", data: null } as const;
const added = (by: number, command = "") =>
  ({ eventType: "Added", data: { by, command } }) as const;

const spec = deciderSpec(counter);

/** The same rules, answered later. */
const slow = deciderSpec<Counter, CounterCommand, CounterEvent>({
  ...counter,
  decide: async (...args) => await counter.decide(...args),
});

Deno.test("a command that leads to the expected events passes", () => {
  spec.given().when(add("a")).then(added(1, "a"));
  spec.given([]).when({ type: "add often", times: 2 }).then([added(1), added(1)]);
  spec.given(added(3)).when({ type: "look" }).then([]);
  spec.given([added(3), CLOSED]).when({ type: "look" }).then([]);
});

Deno.test("a refusal passes by its class or by a test of it", () => {
  const closed = spec.given([CLOSED]).when(add("a"));
  closed.then(ClosedError);
  closed.then(Error);
  closed.then((error) => (error as Error).message === "The counter is closed");
});

Deno.test("a state is compared after all given events", () => {
  spec.given([added(3), added(4)]).thenState({ total: 7, open: true });
  const wrong = () => spec.given([added(3)]).thenState({ total: 4, open: true });
  assertEquals(assertThrows(wrong, Error).message, "Expected state.total to be 4, got 3");
});

Deno.test("another event than expected is reported with its place and both values", () => {
  const wrong = () => spec.given().when(add("a")).then(added(2, "a"));
  assertEquals(assertThrows(wrong, Error).message, "Expected events.0.data.by to be 2, got 1");
  const none = () => spec.given().when({ type: "look" }).then([CLOSED]);
  assertMatch(
    assertThrows(none, Error).message,
    /^Expected events to be \[\{"eventType":"Closed".*got \[\]$/,
  );
});

Deno.test("an error instead of events is reported, and the other way round", () => {
  const refused = assertThrows(
    () => spec.given([CLOSED]).when(add("a")).then(added(1, "a")),
    Error,
  );
  assertMatch(refused.message, /^Expected events \[.*\], but decide\(\) threw ClosedError: The/);
  assertEquals((refused.cause as Error).name, "ClosedError");
  const done = assertThrows(() => spec.given().when({ type: "close" }).then(ClosedError), Error);
  assertMatch(done.message, /^Expected ClosedError, but decide\(\) gave \[\{"eventType":"Closed"/);
  const other = assertThrows(() => spec.given([CLOSED]).when(add("a")).then(RangeError), Error);
  assertMatch(other.message, /^Expected RangeError, but decide\(\) threw ClosedError: The/);
  const tested = assertThrows(() => spec.given([CLOSED]).when(add("a")).then(() => false), Error);
  assertMatch(
    tested.message,
    /^Expected an error that passes the test given, but decide\(\) threw/,
  );
});

Deno.test("an error of another class that looks the same is told by its class", () => {
  class QuietError extends Error {}
  const quiet = deciderSpec({
    ...counter,
    decide: () => {
      throw new QuietError("no");
    },
  });
  quiet.given().when({}).then(new QuietError("no"));
  assertEquals(
    assertThrows(() => quiet.given().when({}).then(new Error("no")), Error).message,
    "Expected Error: no of class Error, but decide() threw Error: no of class QuietError",
  );
});

Deno.test("an asynchronous decide() is awaited", async () => {
  await slow.given().when(add("a")).then(added(1, "a"));
  await slow.given([CLOSED]).when(add("a")).then(ClosedError);
  const wrong = async () => await slow.given().when(add("a")).then(added(2, "a"));
  assertEquals(
    (await assertRejects(wrong, Error)).message,
    "Expected events.0.data.by to be 2, got 1",
  );
  const refused = async () => await slow.given([CLOSED]).when(add("a")).then([]);
  await assertRejects(refused);
});

Deno.test("ids and metadata are compared if they are expected", () => {
  const own = { ...CLOSED, id: "mine", metadata: { userId: "Ann" } };
  const marked = deciderSpec({ ...counter, decide: () => own });
  marked.given().when({}).then(own);
  marked.given().when({}).then({ ...CLOSED, metadata: { userId: "Ann" } });
  assertThrows(() => marked.given().when({}).then(CLOSED));
  assertThrows(() => marked.given().when({}).then({ ...own, id: "yours" }));
});

Deno.test("properties that are undefined count as left out, as in a store", () => {
  const data = { by: 1, command: "", note: undefined };
  const loose = deciderSpec({ ...counter, decide: () => ({ eventType: "Added", data } as const) });
  loose.given().when({}).then(added(1));
});

Deno.test("an evolve() or decide() that changes the state fails", () => {
  const inPlace: Decider<{ total: number }, "add", CounterEvent> = {
    initialState: () => ({ total: 0 }),
    evolve: (state) => {
      state.total++;
      return state;
    },
    decide: (_command, state) => {
      state.total++;
      return [];
    },
  };
  assertThrows(() => deciderSpec(inPlace).given(CLOSED).thenState({ total: 1 }), TypeError);
  const decided = assertThrows(() => deciderSpec(inPlace).given().when("add").then([]), Error);
  assertMatch(decided.message, /but decide\(\) threw TypeError/);
});

Deno.test("an error of evolve() is no refusal of the command, and a promise is no state", async () => {
  const by = (evolve: () => unknown, events: readonly [] | typeof CLOSED = []) =>
    deciderSpec<unknown, null, CounterEvent>({
      initialState: () => 0,
      evolve,
      decide: () => events,
    });
  const broken = () => {
    throw new ClosedError("from evolve()");
  };
  assertThrows(() => by(broken).given(CLOSED).when(null).then(ClosedError), ClosedError);
  assertThrows(() => by(broken, CLOSED).given().when(null).then(CLOSED), ClosedError);
  const late = by(() => Promise.resolve(1)).given(CLOSED);
  assertThrows(() => late.when(null).then([]), TypeError, "evolve() gave a promise");
  assertThrows(() => late.thenState(1), TypeError, "evolve() gave a promise");
  const slowly = deciderSpec<unknown, null, CounterEvent>({
    ...{ initialState: () => 0, evolve: broken },
    decide: () => Promise.resolve(CLOSED),
  });
  await assertRejects(async () => await slowly.given().when(null).then(CLOSED), ClosedError);
});

Deno.test("a decide() that gives no events, and a test of an error that gives none, fail", () => {
  const nothing = { ...counter, decide: () => undefined } as unknown as typeof counter;
  assertEquals(
    assertThrows(() => deciderSpec(nothing).given().when(add("a")).then([]), Error).message,
    "Expected events, but decide() gave undefined",
  );
  const later = (() => Promise.resolve(false)) as unknown as () => boolean;
  assertThrows(() => spec.given([CLOSED]).when(add("a")).then(later), TypeError, "a promise");
});

Deno.test("commands and given events hold as they are at the call, and decide() cannot change them", () => {
  const past = [added(1)];
  const command = { ...add("a") };
  const given = spec.given(past);
  const when = given.when(command);
  past.push(added(2));
  Object.assign(command, { type: "close" });
  given.thenState({ total: 1, open: true });
  when.then(added(1, "a"));
  const taking = deciderSpec<null, { items: number[] }>({
    ...{ initialState: () => null, evolve: () => null },
    decide: ({ items }) => ({ eventType: "Taken", data: items.splice(0) }),
  });
  const takes = taking.given().when({ items: [1] });
  assertThrows(
    () => takes.then({ eventType: "Taken", data: [1] }),
    Error,
    "decide() threw TypeError",
  );
});

Deno.test("given events have the time and the actor of the spec, or always the same ones", () => {
  const last = deciderSpec<unknown, null, CounterEvent>({
    initialState: () => null,
    evolve: (_state, { timestamp, actorId }) => ({ timestamp, actorId }),
    decide: () => [],
  });
  last.given(CLOSED).thenState({ timestamp: new Date(0), actorId: "given" });
  const timestamp = new Date(5);
  last.given({ ...CLOSED, timestamp, actorId: "a-1" }).thenState({ timestamp, actorId: "a-1" });
});

Deno.test("given events remain unchanged", () => {
  const given = { eventType: "Added", data: { by: 1, command: "" } } as const;
  spec.given(given).thenState({ total: 1, open: true });
  assertEquals(Object.isFrozen(given.data), false);
});

Deno.test("awaiting when() is a mistake that is reported", async () => {
  const mistaken = async () => {
    await (spec.given().when(add("a")) as unknown as PromiseLike<void>);
  };
  assertMatch((await assertRejects(mistaken, Error)).message, /^Cannot await when\(\)/);
});

Deno.test("types flow into given, when and then", () => {
  // @ts-expect-error: there is no such event.
  spec.given([{ eventType: "Multiplied", data: null }]);
  // @ts-expect-error: there is no such command.
  const command = () => spec.given().when({ type: "multiply" });
  // @ts-expect-error: an added event has a number in it.
  const expected = () => spec.given().when(add("")).then({ ...CLOSED, eventType: "Added" });
  assertEquals([typeof command, typeof expected], ["function", "function"]);
});
