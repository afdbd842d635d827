import { assertEquals } from "@std/assert";
import { inspector } from "../../inspector/mod.ts";
import { appendEvents, InMemoryEventStore } from "../../store/mod.ts";

/** The answer of an inspector about the states of `order-1`. */
async function statesBy(evolve: (state: number) => unknown) {
  await using store = new InMemoryEventStore();
  await appendEvents(store, "order-1", 0, [{ eventType: "Counted", data: null }]);
  const handler = inspector({ store, deciders: { order: { initialState: () => 0, evolve } } });
  const answer = await handler(
    new Request("http://localhost/api/states", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ actorId: "order-1" }),
    }),
  );
  return await answer.json();
}

Deno.test("a state that is a promise is no state, and its rejection nobody's process", async () => {
  const reason = "evolve() gave a promise, and nobody waits for it";
  for (const outcome of [() => Promise.resolve(1), () => Promise.reject(new Error("Broken"))]) {
    const { steps, failed } = await statesBy(outcome);
    assertEquals([steps, failed.version], [[], 1]);
    assertEquals(failed.reason.includes(reason), true, failed.reason);
  }
  assertEquals((await statesBy((count) => count + 1)).steps.length, 1);
});
