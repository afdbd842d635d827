import { assertEquals } from "@std/assert";
import {
  type Event,
  type EventDraft,
  execute,
  InMemoryEventStore,
  type Process,
} from "../../../store/mod.ts";
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

class Sum {
  inputs = 0;
}

Deno.test("what react() changes in a state that is an instance of a class reaches no later input", async () => {
  const broken = new Set<number>();
  const process: Process<Sum, Placed, Event<"Saw", number>> = {
    name: "summing",
    correlate: ({ actorId }) => actorId,
    initialState: () => new Sum(),
    evolve: ({ inputs }) => Object.assign(new Sum(), { inputs: inputs + 1 }),
    react: (sum, input) => {
      const { inputs } = sum;
      sum.inputs += 100;
      if ("version" in input && broken.has(input.version)) throw new Error("broken");
      return { facts: [{ eventType: "Saw", data: inputs }] };
    },
  };
  await using store = new InMemoryEventStore();
  const decider = inputDecider(process, {});
  const take = (version: number) => {
    const input = { eventType: "OrderPlaced", actorId: "order-1", version, data: null };
    const taking = { ...NAMES, inputId: `${version}`, input, now: new Date(0), isRetry: false };
    return execute(store, NAMES.actorId, decider, taking as never)
      .then(() => "taken", () => "threw");
  };
  assertEquals([await take(1), await take(2)], ["taken", "taken"]);
  broken.add(4);
  // The last two wait for the first one to be saved, and so are decided together.
  assertEquals(await Promise.all([take(3), take(4), take(5)]), ["taken", "threw", "taken"]);
  assertEquals(await take(6), "taken");
  const saw = (await store.getEvents(NAMES.actorId)).map(({ data }) => data);
  assertEquals(saw, [0, 1, 2, 3, 4]);
});
