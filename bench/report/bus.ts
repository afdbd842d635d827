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
    const handled = new LocalEventBus();
    handled.on("orders", arrived);
    const drowsy = new LocalEventBus({ onDrop: () => {} });
    consume(drowsy.subscribe("orders"));
    drowsy.subscribe("orders"); // has no reader: it drops the oldest all the time
    const publishTo = (bus: LocalEventBus) => () =>
      round(async () => {
        for (const event of events) await bus.publish("orders", event);
      });
    const inProcess = await context.compare(`${count} events within one process`, [
      { name: "to a loop", ops: count, run: publishTo(local) },
      { name: "to a handler", ops: count, run: publishTo(handled) },
      { name: "to a loop, beside one that sleeps", ops: count, run: publishTo(drowsy) },
    ]);
    const filtered = new LocalEventBus();
    for (let at = 0; at < 1000; at++) {
      filtered.subscribe("types", { eventTypes: [`Type${at}`] });
      filtered.subscribe("actors", { actorPattern: `actor-${at}-*` });
      filtered.subscribe(`namespace-${at}.*`);
    }
    const publishIn = (namespace: string) => async () => {
      for (const event of events) await filtered.publish(namespace, event);
    };
    const unwanted = await context.compare(`${count} events that nobody wants`, [
      { name: "no subscriber", ops: count, run: publishIn("none") },
      { name: "1,000 subscribers of other types", ops: count, run: publishIn("types") },
      { name: "1,000 subscribers of other actors by *", ops: count, run: publishIn("actors") },
    ]);
    for (const it of [here, there, local, handled, drowsy, filtered]) {
      await it[Symbol.asyncDispose]();
    }
    for (const it of [sender, receiver]) await it.close();
    return [{
      title: "Bus",
      about:
        "From one connection to another one. The raw way encodes and decodes JSON, which is the " +
        "least that an event takes; the buses also check, copy, freeze, queue, count and time events.",
      comparisons: [comparison, inProcess, unwanted],
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
