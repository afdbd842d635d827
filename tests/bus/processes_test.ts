import { assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { NatsEventBus } from "../../bus/nats.ts";
import { createEvent } from "../../store/event.ts";
import { natsTest } from "../support/fixture.ts";

const COUNT = 100_000;

/** The work of the other process. */
async function publish(url: string): Promise<void> {
  const connection = await connect({ servers: url });
  const bus = new NatsEventBus(connection);
  for (let version = 1; version <= COUNT; version++) {
    await bus.publish(
      "orders",
      createEvent({ eventType: "OrderPlaced", actorId: "order-1", version, data: { version } }),
    );
  }
  await bus[Symbol.asyncDispose]();
  await connection.drain();
}

if (Deno.args[0] === "--publish") await publish(Deno.args[1]!);

natsTest(
  "100,000 events of another process arrive once each, in order, beside one that sleeps",
  async (scene) => {
    await using bus = new NatsEventBus(await scene.connect(), { onDrop: () => {} });
    const sleeper = bus.subscribe("orders", { capacity: 1000 });
    const awake = bus.subscribe("orders", { capacity: COUNT });
    await awake.ready;
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const args = [
      "run",
      "-A",
      "--config",
      config,
      import.meta.filename!,
      "--publish",
      scene.server.url,
    ];
    const publisher = new Deno.Command(Deno.execPath(), { args, stdout: "inherit" }).spawn();
    let expected = 1;
    for await (const { version } of awake) {
      if (version !== expected) throw new Error(`Version ${version} came in place of ${expected}`);
      if (expected++ === COUNT) break;
    }
    assertEquals((await publisher.status).success, true);
    assertEquals([awake.dropped, awake.queued], [0, 0]);
    assertEquals([sleeper.dropped, sleeper.queued], [COUNT - 1000, 1000]);
    assertEquals((await sleeper[Symbol.asyncIterator]().next()).value?.version, COUNT - 999);
    const { received, delivered, dropped } = bus.metrics;
    assertEquals([received, delivered, dropped], [COUNT, COUNT + 1, COUNT - 1000]);
  },
);
