import { assertEquals } from "@std/assert";
import type { Event, EventDraft, Process } from "../../../store/mod.ts";
import { inputDecider } from "../../../store/process/inputs.ts";

type Placed = Event<"OrderPlaced", null>;

/** Issues a command at each input. */
const eager: Process<null, Placed> = {
  name: "eager",
  correlate: ({ actorId }) => actorId,
  initialState: () => null,
  evolve: () => null,
  react: () => ({ commands: [{ actorId: "stock-1", command: "take" }] }),
};

const { initialState, decide } = inputDecider(eager, { send: () => Promise.resolve() });
const NAMES = { inputId: "input", id: "order-1", actorId: "process:eager-order-1" };

/** The events that an input leads to in a process that waits for nothing. */
async function decided(input: object, more: object = {}): Promise<readonly EventDraft[]> {
  const taking = { ...NAMES, input, now: new Date(0), isRetry: false, ...more };
  return await decide(taking as never, initialState()) as readonly EventDraft[];
}

Deno.test("the same input leads to the same commands under the same ids, whenever it is decided", async () => {
  const event = { eventType: "OrderPlaced", actorId: "order-1", version: 1, data: null };
  const [first, again] = [await decided(event), await decided(event)];
  assertEquals(first.map(({ eventType }) => eventType), ["CommandIssued"]);
  assertEquals(again, first);
});

Deno.test("what a process does not wait for changes nothing, and reaches none of its code", async () => {
  const reply = { kind: "reply", commandId: "c", actorId: "stock-1", events: [] };
  assertEquals(await decided(reply), []);
  const end = { kind: "effect", name: "mail", outcome: "done", result: null };
  assertEquals(await decided(end, { effectId: "e" }), []);
  const deadline = { kind: "deadline", name: "minute", at: new Date(0) };
  assertEquals(await decided(deadline, { setAt: 3 }), []);
});
