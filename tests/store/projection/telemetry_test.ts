import { assert, assertEquals, assertRejects } from "@std/assert";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import {
  createEvent,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  Projection,
} from "../../../store/mod.ts";
import { fact, projectionTest, quick, Run } from "./bed.ts";
import { inSpan, Telemetry } from "../../support/telemetry.ts";

const telemetry = new Telemetry();

/** Passes if so many seconds are shown, and the few more that the test takes. */
function assertAbout(shown: number | undefined, seconds: number): void {
  assert(shown !== undefined && shown >= seconds && shown < seconds + 30, `it is ${shown}`);
}

Deno.test("a handler's call is a span under the one that made the event, and is measured", async () => {
  await using store = new InMemoryEventStore({ namespace: "shop" });
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  const name = `model-${crypto.randomUUID()}`;
  const save = (actorId: string, eventType: string, metadata = {}) =>
    store.saveEvent(createEvent({ eventType, actorId, version: 1, data: null, metadata }));
  const { traceId, spanId } = await inSpan("request", async (user) => {
    const { traceId, spanId } = user.spanContext();
    await save("order-1", "Placed", { traceparent: `00-${traceId}-${spanId}-01` });
    return { traceId, spanId };
  });
  await save("order-2", "Broken");
  await using run = new Run(quick(bed, {
    name,
    onPoison: "park",
    handler: async (event) => {
      if (event.eventType === "Broken") throw new RangeError("it is broken");
      await inSpan("work", async () => {});
    },
  }));
  await run.projection.caughtUp;

  const found = telemetry.spansOf(traceId);
  const project = found.get(`project ${name}`)!;
  assertEquals(project.kind, SpanKind.CONSUMER);
  assertEquals(project.parentSpanContext?.spanId, spanId);
  assertEquals(found.get("work")!.parentSpanContext?.spanId, project.spanContext().spanId);
  assertEquals(project.attributes["aether.actor.id"], "order-1");
  assertEquals(project.attributes["aether.projection.version"], 1);
  const failed = telemetry.spans.filter((span) =>
    span.name === `project ${name}` && span.status.code === SpanStatusCode.ERROR
  );
  assertEquals(
    failed.map(({ attributes }) => attributes["error.type"]),
    Array(3).fill("RangeError"),
  );

  const by = ["aether.event.type", "error.type"];
  assertEquals(await telemetry.measured(["aether.projection.name", name], by), {
    "aether.projection.duration s Placed": 1,
    "aether.projection.duration s Broken RangeError": 3,
    "aether.projection.parked.events {event} Broken": 1,
    "aether.projection.lag s": 0,
    "aether.projection.parked.actors {actor}": 1,
  });
  const { duration, ...counts } = run.projection.metrics;
  assertEquals(counts, { handled: 1, failed: 3, parked: 1 });
  assert(duration >= 0);
});

projectionTest(
  "the gauges show how old the oldest waiting event is, also after a halt",
  async (bed) => {
    const { store } = bed;
    const name = `model-${crypto.randomUUID()}`;
    const gauges = async () => {
      const all = await telemetry.measured(["aether.projection.name", name], []);
      return [all["aether.projection.lag s"], all["aether.projection.parked.actors {actor}"]];
    };
    const save = (actorId: string, secondsAgo: number) => {
      const timestamp = new Date(Date.now() - 1_000 * secondsAgo);
      return store.saveEvent({ ...fact(actorId, 1), timestamp });
    };
    const options = quick(bed, {
      ...{ name, partitions: 4, filter: { category: "order" } },
      handler: ({ actorId }) => {
        if (actorId === "order-3") throw new Error("it cannot be handled");
      },
    });
    const projection = new Projection(options);
    await save("order-1", 500);
    assertEquals(await gauges(), [undefined, undefined]);
    const running = projection.run();
    await projection.caughtUp;
    assertEquals(await gauges(), [0, 0]);
    await projection.pause();
    await save("other-1", 900); // The filter leaves it out.
    await save("order-2", 200);
    await save("order-4", 100);
    assertAbout((await gauges())[0], 200);
    await projection.resume();
    await projection.caughtUp;
    assertEquals(await gauges(), [0, 0]);
    await save("order-3", 400);
    await assertRejects(() => running);
    const [halted, parked] = await gauges();
    assertAbout(halted, 400);
    assertEquals(parked, 0);
    await projection[Symbol.asyncDispose]();
    assertEquals(await gauges(), [0, 0]); // Else the SDK would go on with what was last shown.
  },
);
