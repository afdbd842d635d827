import { assert, assertEquals, assertRejects } from "@std/assert";
import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { CommandFailedError } from "../../store/errors.ts";
import { join, settled } from "./bed.ts";
import { natsTest } from "../support/fixture.ts";
import { inSpan, Telemetry } from "../support/telemetry.ts";

const telemetry = new Telemetry();

natsTest("a command is handled in a span under its sender's, on another node", async (scene) => {
  const sender = await join(scene, "a", { capacity: 0 });
  const owner = await join(scene, "b");
  await settled(owner);
  const user = await inSpan("request", async (span) => {
    await sender.send("counter-1", "x", { commandId: "c-1" });
    return span.spanContext();
  });
  const found = telemetry.spansOf(user.traceId);
  const sent = found.get(`send ${scene.namespace}`)!;
  const handled = found.get(`handle ${scene.namespace}`)!;
  assertEquals(sent.parentSpanContext?.spanId, user.spanId);
  assertEquals(handled.parentSpanContext?.spanId, sent.spanContext().spanId);
  assertEquals([sent.kind, handled.kind], [SpanKind.CLIENT, SpanKind.SERVER]);
  assertEquals(handled.attributes["aether.command.id"], "c-1");
  const saved = found.get(`saveEvents AETHER_${scene.namespace}`)!;
  assertEquals(saved.parentSpanContext?.spanId, handled.spanContext().spanId);
  await sender.leave();
  await owner.leave();
});

natsTest(
  "a handler that throws is a failed span on both sides, and gauges show the node",
  async (scene) => {
    const node = await join(scene, "a", {}, undefined, (cluster) =>
      cluster.handle(() => {
        assert(trace.getSpan(context.active()) !== undefined);
        throw new RangeError("too much");
      }));
    await settled(node);
    const { traceId } = await inSpan("request", async (span) => {
      await assertRejects(() => node.send("counter-1", "x"), CommandFailedError, "too much");
      return span.spanContext();
    });
    const found = telemetry.spansOf(traceId);
    for (const [name, error] of [["send", "CommandFailedError"], ["handle", "RangeError"]]) {
      const span = found.get(`${name} ${scene.namespace}`)!;
      assertEquals([span.status.code, span.attributes["error.type"]], [
        SpanStatusCode.ERROR,
        error,
      ]);
    }
    const measured = await telemetry.measured(
      ["aether.cluster.namespace", scene.namespace],
      ["aether.shard.phase", "error.type"],
    );
    assertEquals(measured, {
      "aether.cluster.members {node}": 1,
      "aether.cluster.shards {shard} serving": 32,
      "aether.cluster.leads ": 1,
      "aether.cluster.coordinates ": 1,
      "aether.cluster.actors {actor}": 1,
      "aether.cluster.handling {command}": 0,
      "aether.cluster.sending {command}": 0,
      "aether.cluster.send.duration s CommandFailedError": 1,
      "aether.cluster.handle.duration s RangeError": 1,
    });
    await node.leave();
  },
);
