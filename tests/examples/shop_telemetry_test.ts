import { assertEquals } from "@std/assert";
import { traced } from "../../examples/shop/telemetry.ts";
import { appendEvents, InMemoryEventStore } from "../../store/mod.ts";
import { Telemetry } from "../support/telemetry.ts";

Deno.test("traced() puts what a request saves under the request's span", async () => {
  const telemetry = new Telemetry();
  await using store = new InMemoryEventStore();
  const { handle } = traced({
    method: "POST",
    path: "/orders/:id",
    handle: async (_request, id) => {
      await appendEvents(store, `order-${id}`, 0, [{ eventType: "OrderPlaced", data: null }]);
      return new Response(null, { status: 503 });
    },
  });
  await handle(new Request("http://localhost/orders/1", { method: "POST" }), "1");
  const span = telemetry.spans.find(({ name }) => name === "POST /orders/:id")!;
  assertEquals(span.attributes, {
    "http.request.method": "POST",
    "http.route": "/orders/:id",
    "http.response.status_code": 503,
  });
  const inTrace = [...telemetry.spansOf(span.spanContext().traceId).values()];
  const { spanId } = span.spanContext();
  assertEquals(inTrace.some(({ parentSpanContext }) => parentSpanContext?.spanId === spanId), true);
});
