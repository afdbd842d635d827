import { assertThrows } from "@std/assert";
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
