import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createEvent } from "../../store/mod.ts";
import { processSpec, type ProcessSpecInput } from "../../testing/mod.ts";
import { orderProcess, type Placed } from "../store/process/order.ts";

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
  spec.given([placed, reserved]).when({ kind: "reply", actorId: "payment-7" })
    .then({ facts: [became("paid by 0", 3)], done: true });
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
  assertEquals(asked, 1);
  assertThrows(() => done.when(placed).then({ done: true }), Error, "done");
});

Deno.test("processSpec() gives a reply, an end and a deadline the parts that the process has named", () => {
  const seen: unknown[] = [];
  const process = orderProcess({
    react: (_state, input) => {
      if ("kind" in input) {
        seen.push(input);
        return {};
      }
      return {
        commands: [
          { actorId: "stock-pen", command: 1, key: "take" },
          { actorId: "stock-pen", command: 2 },
          { actorId: "stock-pen", command: 3 },
        ],
        effects: [{ name: "mail", input: 1, key: "sent" }],
        deadlines: { late: new Date(60_000) },
      };
    },
  });
  processSpec(process).given([
    placed,
    { kind: "reply", actorId: "stock-pen" },
    { kind: "reply", commandId: "own" },
    { kind: "reply" },
    { kind: "effect", name: "mail", outcome: "failed" },
    { kind: "deadline", name: "late" },
  ]);
  const reply = { kind: "reply", commandId: "given", actorId: "stock-pen", events: [] };
  assertEquals(seen, [
    reply,
    { ...reply, commandId: "own" },
    { ...reply, key: "take" },
    {
      ...{ kind: "effect", name: "mail", outcome: "failed", result: null, key: "sent" },
      failure: { name: "Error", message: "given" },
    },
    { kind: "deadline", name: "late", at: new Date(60_000) },
  ]);
});

Deno.test("processSpec() refuses inputs that no manager would give", () => {
  const process = orderProcess({
    react: (_state, input) =>
      "kind" in input ? (input.kind === "reply" ? { deadlines: { late: null } } : {}) : {
        commands: [
          { actorId: "stock-pen", command: 1, key: "take" },
          { actorId: "stock-pad", command: 1, key: "take" },
        ],
        effects: [{ name: "mail", input: 1, key: "a" }, { name: "mail", input: 1, key: "b" }],
        deadlines: { late: new Date(60_000) },
      },
  });
  const spec = processSpec(process);
  const late = { kind: "deadline", name: "late" } as const;
  const pen = { kind: "reply", actorId: "stock-pen" } as const;
  const mail = { kind: "effect", name: "mail", key: "a", outcome: "done" } as const;
  const failure = { name: "Error", message: "no" };
  const event = createEvent({ eventType: "Taken", actorId: "stock-pen", version: 1, data: null });
  for (
    const [past, input, message] of [
      [[], late, 'Cannot give deadline "late" as input 1: no deadline is set'],
      [[], { kind: "reply" }, "Cannot give a reply as input 1: no command waits for its reply"],
      [[], mail, 'effect "mail" under key "a" as input 1: no effect is called and has not ended'],
      [[placed, late], late, "no deadline is set"],
      [[placed, pen], late, "no deadline is set"],
      [[placed], { kind: "deadline", name: "early" }, 'no such deadline is set, only "late"'],
      [[placed], { ...late, at: new Date(5) }, "for 1970-01-01T00:01:00.000Z, not for"],
      [[placed], { kind: "reply", key: "take" }, 'or of "stock-pad" under key "take"'],
      [[placed], { ...pen, key: "other" }, "no such command waits"],
      [[placed, pen], pen, "no such command waits"],
      [[placed], { ...pen, events: [event], refused: failure }, "it has events and is refused"],
      [[placed, mail], mail, "no such effect is called"],
      [[placed], { kind: "effect", name: "mail", outcome: "done" }, "say by key which"],
      [[placed], { ...mail, outcome: "over" }, 'its outcome is "over"'],
      [[placed], { ...mail, failure }, "it is done and has a failure"],
      [[placed], { ...mail, outcome: "unknown", result: 1 }, "it has a result"],
      [[placed], { kind: "timer", name: "late" }, 'its kind is "timer"'],
      [[placed], undefined, "input 2 is missing"],
    ] as unknown as [ProcessSpecInput<Placed>[], ProcessSpecInput<Placed>, string][]
  ) {
    const given = spec.given(past);
    assertThrows(() => given.when(input), Error, message);
    assertThrows(() => spec.given([...past, input]), Error, message);
  }
  const over = processSpec(orderProcess({
    react: () => ({ deadlines: { late: new Date(5) }, done: true }),
  }));
  assertThrows(() => over.given([placed, late]), Error, "no deadline is set");
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
      return { deadlines: { late: now }, commands: [{ actorId: "stock-pen", command: 1 }] };
    },
  });
  const spec = processSpec(process, { now });
  const inputs = [placed];
  const given = spec.given(inputs);
  now.setTime(60_000);
  inputs.push(placed);
  const reply = { kind: "reply", events: [], refused: { name: "Error", message: "no" } } as const;
  for (const input of [placed, reply, reply]) {
    given.when(input).then({
      deadlines: { late: new Date(5) },
      commands: [{ actorId: "stock-pen", command: 1 }],
    });
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
