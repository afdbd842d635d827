/**
 * The event bus beside raw nats.js, on one nats-server in the same run. Each iteration publishes
 * 1,000 events of about 250 bytes and waits until the other connection has them all.
 *
 * "raw bytes" sends the same bytes a thousand times and looks at nothing; "raw events" encodes and
 * decodes events by `JSON`, which is the least that carrying an event takes. The bus also checks,
 * copies, freezes, queues, counts and times them.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { connect } from "@nats-io/transport-node";
import { createEvent, type Event, LocalEventBus, NatsEventBus, type Subscription } from "../mod.ts";
import { NatsServer } from "../tools/nats_server.ts";

const COUNT = 1000;
const SUBJECT = "bench.OrderPlaced.order-123.orders";

const server = await NatsServer.start({ jetstream: false });
globalThis.addEventListener("unload", () => Deno.kill(server.pid!, "SIGKILL"));
const sender: NatsConnection = await connect({ servers: server.url });
const receiver: NatsConnection = await connect({ servers: server.url });

const events: Event[] = Array.from({ length: COUNT }, (_, at) =>
  createEvent({
    eventType: "OrderPlaced",
    actorId: "order-123",
    version: at + 1,
    data: { total: 99.99, items: 3, customer: "customer-4711", address: "1 Main Street" },
  }));
const bytes = new TextEncoder().encode(JSON.stringify(events[0]));

/** Resolves, each time that it is called, when `count` more have been counted. */
class Arrivals {
  #missing = 0;
  #all = Promise.withResolvers<void>();

  count = (): void => {
    if (--this.#missing === 0) this.#all.resolve();
  };

  expect(count: number): Promise<void> {
    this.#missing += count;
    this.#all = Promise.withResolvers<void>();
    return this.#all.promise;
  }
}

async function consume(subscription: AsyncIterable<unknown>, count: () => void): Promise<void> {
  for await (const _event of subscription) count();
}

const raw = new Arrivals();
const rawEvents = new Arrivals();
(async () => {
  for await (const _message of receiver.subscribe(SUBJECT)) raw.count();
})();
(async () => {
  for await (const message of receiver.subscribe(`${SUBJECT}.json`)) {
    const event = message.json<{ timestamp: string | Date }>();
    event.timestamp = new Date(event.timestamp);
    rawEvents.count();
  }
})();

const publisher = new NatsEventBus(sender);
const bus = new Arrivals();
const remote: Subscription = new NatsEventBus(receiver).subscribe("orders");
consume(remote, bus.count);
await remote.ready;

Deno.bench(
  "raw bytes: publish 1,000, receive 1,000",
  { group: "nats", baseline: true },
  async () => {
    const all = raw.expect(COUNT);
    for (let at = 0; at < COUNT; at++) sender.publish(SUBJECT, bytes);
    await all;
  },
);

Deno.bench("raw events: publish 1,000, receive 1,000", { group: "nats" }, async () => {
  const all = rawEvents.expect(COUNT);
  for (const event of events) sender.publish(`${SUBJECT}.json`, JSON.stringify(event));
  await all;
});

Deno.bench("NatsEventBus: publish 1,000, receive 1,000", { group: "nats" }, async () => {
  const all = bus.expect(COUNT);
  for (const event of events) await publisher.publish("orders", event);
  await all;
});

const local = new LocalEventBus();
const arrivals = new Arrivals();
consume(local.subscribe("orders"), arrivals.count);
const handled = new Arrivals();
local.on("handled", handled.count);

Deno.bench("LocalEventBus: publish 1,000 to a loop", { group: "local" }, async () => {
  const all = arrivals.expect(COUNT);
  for (const event of events) await local.publish("orders", event);
  await all;
});

Deno.bench("LocalEventBus: publish 1,000 to a handler", { group: "local" }, async () => {
  const all = handled.expect(COUNT);
  for (const event of events) await local.publish("handled", event);
  await all;
});

const beside = new Arrivals();
const drowsy = new LocalEventBus({ onDrop: () => {} });
consume(drowsy.subscribe("orders"), beside.count);
drowsy.subscribe("orders"); // has no reader: it drops the oldest all the time

Deno.bench(
  "LocalEventBus: the same beside a subscriber that sleeps",
  { group: "local" },
  async () => {
    const all = beside.expect(COUNT);
    for (const event of events) await drowsy.publish("orders", event);
    await all;
  },
);

const filtered = new LocalEventBus();
for (let at = 0; at < 1000; at++) {
  filtered.subscribe("types", { eventTypes: [`Type${at}`] });
  filtered.subscribe("actors", { actorPattern: `actor-${at}-*` });
  filtered.subscribe(`namespace-${at}.*`);
}
const event: Event = events[0]!;

Deno.bench("publish, no subscriber", { group: "idle", baseline: true }, async () => {
  await filtered.publish("none", event);
});

Deno.bench("publish, 1,000 subscribers of other types", { group: "idle" }, async () => {
  await filtered.publish("types", event);
});

Deno.bench("publish, 1,000 subscribers of other actors by *", { group: "idle" }, async () => {
  await filtered.publish("actors", event);
});
