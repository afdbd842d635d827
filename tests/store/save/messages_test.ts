import { assertEquals, assertThrows } from "@std/assert";
import { EXPECT } from "../../../store/format/headers.ts";
import { asStreamSequence } from "../../../store/format/position.ts";
import { runsOf } from "../../../store/format/runs.ts";
import { messagesOf, type Save } from "../../../store/save/messages.ts";

/** The message of a save of one event, on a head at `sequence`. */
function messageOn(sequence: number) {
  const event = {
    ...{ id: "id", actorId: "a", version: 2, eventType: "A", schema: 1, timestamp: "" },
    ...{ metadata: undefined, body: new Uint8Array(), isJson: true },
  };
  const save = {
    ...{ op: "op", events: [event], actors: ["a"], expect: new Map(), deadline: Infinity },
    runs: runsOf({ events: [event] } as never, 2 ** 20),
  } as unknown as Save;
  const heads = new Map([["a", { version: 1, sequence: asStreamSequence(sequence) }]]);
  const [message] = messagesOf(save, heads, (actorId) => actorId, (actorId) => actorId);
  return message!;
}

Deno.test("a save expects the sequence that its actor is at", () => {
  for (const sequence of [0, 7]) {
    assertEquals(messageOn(sequence).headers.get(EXPECT), `${sequence}`);
  }
});

Deno.test("nothing is sent that expects an odd sequence: a server takes that for no check", () => {
  for (const sequence of [-1, 1.5, NaN, Infinity, 2 ** 60]) {
    assertThrows(() => messageOn(sequence), TypeError, "is not a safe integer");
  }
});
