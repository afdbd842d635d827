/** The bus beside core NATS. */
import { connect } from "@nats-io/transport-node";
import { LocalEventBus, NatsEventBus } from "../../mod.ts";
import { NatsServer } from "../../tools/nats_server.ts";
import { eventIn, eventOf } from "../scene.ts";
import type { Chapter } from "./chapter.ts";

const SUBJECT = "bench.OrderPlaced.order-123.orders";

export const bus: Chapter = {
  name: "bus",
  async run(context) {
    await using server = await NatsServer.start({ jetstream: false });
    const sender = await connect({ servers: server.url });
    const receiver = await connect({ servers: server.url });
    const count = context.size(1000, 50);
    const events = Array.from({ length: count }, (_, at) => eventOf("order-123", at + 1));

    let left = 0;
    let all = Promise.withResolvers<void>();
    const arrived = () => {
      if (--left === 0) all.resolve();
    };
    const round = async (publish: () => unknown): Promise<void> => {
      left = count;
      all = Promise.withResolvers();
      await publish();
      await all.promise;
    };
    receiver.subscribe(SUBJECT, {
      callback: (_error, message) => {
        eventIn(message.string());
        arrived();
      },
    });
    const consume = async (subscription: AsyncIterable<unknown>) => {
      for await (const _event of subscription) arrived();
    };
    const there = new NatsEventBus(receiver);
    const subscription = there.subscribe("orders");
    consume(subscription);
    await subscription.ready;
    const here = new NatsEventBus(sender);
    const local = new LocalEventBus();
    consume(local.subscribe("orders"));
    await receiver.flush();

    const comparison = await context.compare(`${count} events published and received`, [
      {
        name: "core NATS, JSON",
        ops: count,
        run: () =>
          round(() => {
            for (const event of events) sender.publish(SUBJECT, JSON.stringify(event));
          }),
      },
      {
        name: "NatsEventBus",
        ops: count,
        run: () =>
          round(async () => {
            for (const event of events) await here.publish("orders", event);
          }),
      },
      {
        name: "LocalEventBus",
        ops: count,
        run: () =>
          round(async () => {
            for (const event of events) await local.publish("orders", event);
          }),
      },
    ]);
    for (const it of [here, there, local]) await it[Symbol.asyncDispose]();
    for (const it of [sender, receiver]) await it.close();
    return [{
      title: "Bus",
      about:
        "From one connection to another one. The raw way encodes and decodes JSON, which is the " +
        "least that an event takes; the buses also check, copy, freeze, queue, count and time events.",
      comparisons: [comparison],
      charts: [{
        file: "bus",
        title: "Events from publisher to subscriber",
        x: "way",
        y: "events a second",
        mark: "bar",
        points: comparison.ways.map(({ name, perSecond }) => ({
          x: name,
          y: perSecond,
          way: name,
        })),
      }],
    }];
  },
};
