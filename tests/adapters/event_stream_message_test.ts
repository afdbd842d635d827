import { assertEquals, assertMatch } from "@std/assert";
import { eventStream } from "../../adapters/http/mod.ts";
import { appendEvents, InMemoryEventStore } from "../../store/mod.ts";

Deno.test("a message that is a promise ends the stream, and its rejection nobody's process", async () => {
  await using store = new InMemoryEventStore();
  await appendEvents(store, "order-1", 0, [{ eventType: "OrderPlaced", data: null }]);
  for (const outcome of [() => Promise.resolve(1), () => Promise.reject(new Error("Not you"))]) {
    const errors: unknown[] = [];
    const answer = eventStream(new Request("http://localhost/"), store, {
      from: "start",
      message: outcome,
      onError: (error) => errors.push(error),
    });
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    await reader.read();
    assertMatch((await reader.read()).value ?? "", /^event: problem\ndata: \{.*\}\n\n$/);
    await reader.cancel();
    assertEquals(errors.map(String), [
      "TypeError: message gave a promise, and nobody waits for it",
    ]);
  }
});
