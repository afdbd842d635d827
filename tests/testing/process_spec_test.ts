import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { processSpec } from "../../testing/mod.ts";
import { orderProcess } from "../store/process/order.ts";

const placed = { eventType: "OrderPlaced", data: { pieces: 2 } } as const;
const reserved = { kind: "reply", key: "take" } as const;
const became = (what: string, inputs: number) => ({
  eventType: "Became" as const,
  data: { what, inputs },
});

Deno.test("processSpec() passes if an input leads to the expected reaction, and nothing else", () => {
  const spec = processSpec(orderProcess(), { id: "7" });
  spec.given().when(placed).then({
    facts: [became("placed", 1)],
    commands: [{ actorId: "stock-pen", command: { take: 2 }, key: "take" }],
  });
  spec.given([placed]).when(reserved).then({
    facts: [became("reserved", 2)],
    commands: [{ actorId: "payment-7", command: { add: 1 } }],
  });
  spec.given([placed]).when({ kind: "reply", refused: { name: "Error", message: "no" } })
    .then({ facts: [became("cancelled", 2)], done: true });
  spec.given([placed, reserved]).when({ kind: "deadline", name: "late" })
    .then({ facts: [became("late", 3)], done: true });
  spec.given([placed, reserved]).thenState({ what: "reserved", inputs: 2 });
});

Deno.test("processSpec() throws if a part is missing, different, or more than expected", () => {
  const spec = processSpec(orderProcess(), { id: "7" });
  const facts = [became("placed", 1)];
  const command = { actorId: "stock-pen", command: { take: 2 }, key: "take" };
  const when = spec.given().when(placed);
  assertThrows(() => when.then({ facts }), Error, "commands");
  assertThrows(() => when.then({ commands: [command] }), Error, "facts");
  assertThrows(
    () => when.then({ facts, commands: [{ ...command, key: "other" }] }),
    Error,
    "key",
  );
  assertThrows(() => when.then({ facts, commands: [command], done: true }), Error, "done");
  assertThrows(
    () => when.then({ facts, commands: [command], deadlines: { late: new Date() } }),
    Error,
    "late",
  );
  assertThrows(() => spec.given([placed]).thenState({ what: "new", inputs: 0 }), Error, "what");
});

Deno.test("processSpec() fails a process that changes its state", () => {
  const process = orderProcess({
    react: (state) => {
      (state as { inputs: number }).inputs = 7;
      return {};
    },
  });
  assertThrows(() => processSpec(process).given().when(placed).then({}), TypeError);
});

Deno.test("processSpec() takes an input without effect once the process is done, as a manager does", () => {
  let asked = 0;
  const process = orderProcess({
    react: () => {
      asked++;
      return { facts: [became("over", 1)], done: true };
    },
  });
  const done = processSpec(process).given([placed, placed]);
  done.thenState({ what: "over", inputs: 1 });
  done.when(placed).then({});
  done.when({ kind: "deadline", name: "late" }).then({});
  assertEquals(asked, 1);
  assertThrows(() => done.when(placed).then({ done: true }), Error, "done");
});

Deno.test("processSpec() fails a process that a manager would park", () => {
  const reacting = (reaction: unknown) =>
    processSpec(orderProcess({ react: () => reaction as undefined }));
  for (
    const [reaction, message] of [
      [Promise.resolve({}), "react() gave a promise"],
      ["facts", "not a reaction"],
      [{ commands: [{ actorId: "", command: 1 }] }, "its actorId"],
      [{ deadlines: { late: new Date(NaN) } }, "Cannot set deadline"],
    ] as const
  ) {
    assertThrows(() => reacting(reaction).given().when(placed).then({}), Error, message);
    assertThrows(() => reacting(reaction).given([placed]), Error, message);
  }
  const evolve = () => {
    throw new RangeError("from evolve()");
  };
  const broken = processSpec(orderProcess({ evolve, react: () => ({ facts: [became("x", 1)] }) }));
  assertThrows(() => broken.given().when(placed).then({ facts: [became("x", 1)] }), RangeError);
  const later = orderProcess({ evolve: () => Promise.resolve() as never });
  assertThrows(() => processSpec(later).given([placed]), TypeError, "evolve() gave a promise");
});

Deno.test("processSpec() goes by the options and inputs of the call, and leaves them alone", () => {
  const now = new Date(0);
  const process = orderProcess({
    react: (_state, _input, { now }) => {
      now.setTime(now.getTime() + 5);
      return { deadlines: { late: now } };
    },
  });
  const spec = processSpec(process, { now });
  const inputs = [placed];
  const given = spec.given(inputs);
  now.setTime(60_000);
  inputs.push(placed);
  const reply = { kind: "reply", events: [], refused: { name: "Error", message: "no" } } as const;
  for (const input of [placed, reply, reply]) {
    given.when(input).then({ deadlines: { late: new Date(5) } });
  }
  assertEquals([Object.isFrozen(reply.events), Object.isFrozen(reply.refused)], [false, false]);
});

Deno.test("processSpec() gives inputs the time of the spec, or their own, and facts that of the spec", () => {
  const facts: Date[] = [];
  const process = orderProcess({
    evolve: (state, { timestamp }) => {
      facts.push(timestamp);
      return state;
    },
    react: (_state, input) => ({
      facts: [became("x", 1)],
      deadlines: { late: "kind" in input ? null : input.timestamp },
    }),
  });
  const now = new Date(7);
  const given = processSpec(process, { now }).given();
  given.when(placed).then({ facts: [became("x", 1)], deadlines: { late: now } });
  const timestamp = new Date(5);
  given.when({ ...placed, timestamp }).then({
    facts: [became("x", 1)],
    deadlines: { late: timestamp },
  });
  assertEquals(facts, [now, now]);
});

Deno.test("processSpec() reports that when() was awaited", async () => {
  const idle = processSpec(orderProcess({ react: () => {} })).given().when(placed);
  const mistaken = async () => await (idle as unknown as PromiseLike<void>);
  await assertRejects(mistaken, Error, "Cannot await when()");
});
