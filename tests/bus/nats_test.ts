import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import type { EventBusOptions } from "../../bus/bus.ts";
import { NatsEventBus } from "../../bus/nats.ts";
import { EventTooLargeError } from "../../store/errors.ts";
import { createEvent, type Event } from "../../store/event.ts";
import { type EventBusNodes, eventBusSuite } from "../../testing/event_bus/suite.ts";
import { NatsServer } from "../../tools/nats_server.ts";
import { clusterTest, natsTest, Scene } from "../support/fixture.ts";

eventBusSuite({
  test: (name, run) => Deno.test(`NatsEventBus: ${name}`, run),
  create: async (options) => {
    const stack = new AsyncDisposableStack();
    const scene = new Scene([stack.use(await NatsServer.start({ jetstream: false }))]);
    stack.defer(() => scene.close());
    stack.defer(() => scene.assertNoLeaks());
    return await nodes(stack, await scene.connect(), await scene.connect(), options);
  },
  capabilities: { nodes: true },
});

clusterTest(
  "NatsEventBus keeps every promise between nodes on different servers",
  async (scene) => {
    const tests: [string, () => Promise<void>][] = [];
    const connections: NatsConnection[] = [];
    let turn = 0;
    eventBusSuite({
      test: (name, run) => void tests.push([name, run]),
      create: async (options) => {
        const stack = new AsyncDisposableStack();
        const [mine, peer] = [0, 1].map((at) => connections[(turn + at) % connections.length]!);
        turn++;
        // Once this has come through, in both directions, messages of earlier tests are gone.
        await passes(mine!, peer!);
        await passes(peer!, mine!);
        stack.defer(() => mine!.flush());
        stack.defer(() => peer!.flush());
        return await nodes(stack, mine!, peer!, options);
      },
      capabilities: { nodes: true },
    });
    for (const server of scene.servers) {
      connections.push(
        await scene.connect({ servers: server.url }),
      );
    }
    for (const [name, run] of tests) {
      await run().catch((cause) => {
        throw new Error(`${name}: ${cause.message}`, { cause });
      });
    }
  },
);

function nodes(
  stack: AsyncDisposableStack,
  mine: NatsConnection,
  theirs: NatsConnection,
  options: EventBusOptions = {},
): EventBusNodes {
  const [bus, peer] = [mine, theirs].map((each) => stack.use(new NatsEventBus(each, options)));
  return { bus: bus!, peer: peer!, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Resolves when a message from `from` has reached `to`. */
async function passes(from: NatsConnection, to: NatsConnection): Promise<void> {
  const subject = `barrier.${crypto.randomUUID()}`;
  const arrived = Promise.withResolvers<void>();
  const subscription = to.subscribe(subject, { callback: () => arrived.resolve() });
  let waiting = true;
  arrived.promise.then(() => waiting = false);
  await to.flush();
  while (waiting) {
    from.publish(subject);
    await from.flush();
    await to.flush();
  }
  subscription.unsubscribe();
}

function event(init: Partial<Event> = {}): Event {
  return createEvent({
    eventType: "OrderPlaced",
    actorId: "order-1",
    version: 1,
    data: null,
    ...init,
  });
}

natsTest(
  "NatsEventBus writes JSON that any language can read, on subjects that name everything",
  async (scene) => {
    const raw = await scene.connect();
    const seen = raw.subscribe("aether-bus.>", { max: 1 });
    await raw.flush();
    await using bus = new NatsEventBus(await scene.connect());
    const sent = event({
      eventType: "Größe",
      actorId: "a.b",
      metadata: { traceparent: "00-a-b-01" },
    });
    await bus.publish("orders.*", sent);
    for await (const message of seen) {
      assertEquals(message.subject, "aether-bus.Gr=C3=B6=C3=9Fe.a=2Eb.orders.=2A");
      assertEquals(message.json(), JSON.parse(JSON.stringify(sent)));
    }
  },
);

natsTest("NatsEventBus counts and skips messages that no bus has sent", async (scene) => {
  const raw = await scene.connect();
  await using bus = new NatsEventBus(await scene.connect());
  const all = bus.subscribe(">");
  await all.ready;
  const good = JSON.stringify(event());
  const change = (more: Record<string, unknown>) => JSON.stringify({ ...event(), ...more });
  const subject = "aether-bus.OrderPlaced.order-1.orders";
  const bad: [string, string | Uint8Array][] = [
    [subject, ""],
    [subject, "{"],
    [subject, "null"],
    [subject, new Uint8Array([0xff, 0xfe])],
    [subject, change({ actorId: "order-2" })],
    [subject, change({ eventType: "Other" })],
    [subject, change({ version: "1" })],
    [subject, change({ timestamp: "never" })],
    [subject, change({ metadata: { userId: 7 } })],
    [subject, `${good.slice(0, -1)},"data":${"[".repeat(5000)}${"]".repeat(5000)}}`],
    ["aether-bus.OrderPlaced.order-1.=6F", good],
    ["aether-bus.OrderPlaced.order-1.orders=2Eeu", good],
    ["aether-bus.OrderPlaced.order=1.orders", good],
    ["aether-bus.Ordér.order-1.orders", good],
  ];
  for (const [on, body] of bad) raw.publish(on, body);
  raw.publish(subject, change({ version: 7, extra: true }));
  const iterator = all[Symbol.asyncIterator]();
  const { value } = await iterator.next();
  assertEquals([value?.version, Object.hasOwn(value!, "extra")], [7, false]);
  const { malformed, received, delivered } = bus.metrics;
  assertEquals([malformed, received, delivered], [bad.length, 1, 1]);
});

natsTest("NatsEventBus distinguishes two buses on one connection", async (scene) => {
  const connection = await scene.connect();
  await using one = new NatsEventBus(connection);
  await using two = new NatsEventBus(connection);
  const [here, there] = [one.subscribe("orders"), two.subscribe("orders")];
  await one.publish("orders", event());
  await connection.flush();
  assertEquals([here.queued, there.queued], [1, 1]);
  assertEquals([one.metrics.received, two.metrics.received], [0, 1]);
});

natsTest("NatsEventBus shares the server's subscriptions, and releases them", async (scene) => {
  const connection = await scene.connect();
  const listed = async (): Promise<number> => {
    await connection.flush();
    return (await scene.server.monitor<{ num_subscriptions: number }>("/varz")) &&
      (await scene.server.monitor<{ connections: { subscriptions: number }[] }>("/connz"))
        .connections[0]!.subscriptions;
  };
  const before = await listed();
  await using bus = new NatsEventBus(connection);
  const many = Array.from({ length: 100 }, () => bus.subscribe("orders"));
  const typed = bus.subscribe("orders", { eventTypes: ["A", "B"] });
  assertEquals(await listed() - before, 3);
  for (const one of many.slice(1)) await one[Symbol.asyncDispose]();
  await typed[Symbol.asyncDispose]();
  assertEquals(await listed() - before, 1);
  await many[0]![Symbol.asyncDispose]();
  assertEquals(await listed(), before);
});

natsTest(
  "NatsEventBus restores its subscriptions after a reconnect, and reports how long it was away",
  async (scene) => {
    const away = Promise.withResolvers<number>();
    const proxy = scene.proxy();
    await using bus = new NatsEventBus(await scene.connect({ servers: proxy.url }), {
      onReconnect: (report) => away.resolve(report.away),
    });
    await using peer = new NatsEventBus(await scene.connect());
    const before = bus.subscribe("orders");
    await before.ready;
    proxy.refusing = true;
    proxy.cut();
    const meanwhile = bus.subscribe("billing");
    const begun = performance.now();
    const later = setTimeout(() => proxy.refusing = false, 200);
    await meanwhile.ready;
    clearTimeout(later);
    const took = await away.promise;
    assert(took >= 150 && took <= performance.now() - begun + 50, `away for ${took} ms`);
    await before.ready;
    await peer.publish("orders", event({ version: 2 }));
    await peer.publish("billing", event({ version: 3 }));
    for (const [subscription, version] of [[before, 2], [meanwhile, 3]] as const) {
      assertEquals((await subscription[Symbol.asyncIterator]().next()).value?.version, version);
    }
  },
);

natsTest("NatsEventBus ends its subscriptions when the connection is closed", async (scene) => {
  const connection = await scene.connect();
  await using bus = new NatsEventBus(connection);
  const waiting = bus.subscribe("orders")[Symbol.asyncIterator]().next();
  await connection.close();
  assertEquals((await waiting).done, true);
  await assertRejects(() => bus.publish("orders", event()), Error, "closed");
  assertEquals(bus.metrics.activeSubscriptions, 0);
  assertThrows(() => bus.subscribe("orders"), Error, "closed");
  assertEquals(bus.metrics.activeSubscriptions, 0);
});

natsTest("NatsEventBus refuses a queue on a connection without echo", async (scene) => {
  await using bus = new NatsEventBus(await scene.connect({ noEcho: true }));
  assertThrows(() => bus.subscribe("orders", { queue: "workers" }), TypeError, "noEcho");
  assertEquals(bus.metrics.activeSubscriptions, 0);
});

natsTest(
  "NatsEventBus holds a publisher back while much is on its way to the server",
  async (scene) => {
    const proxy = scene.proxy();
    await using bus = new NatsEventBus(await scene.connect({ servers: proxy.url }));
    const large = event({ data: "x".repeat(256 * 1024) });
    proxy.pause();
    const published = [1, 2, 3, 4].map(() => bus.publish("orders", large));
    const last = published.pop()!.then(() => "done");
    await Promise.all(published);
    assertEquals(
      await Promise.race([last, new Promise((done) => setTimeout(done, 50, "held"))]),
      "held",
    );
    proxy.resume();
    assertEquals(await last, "done");
    await Promise.all(published);
  },
);

for (const how of ["drain", "close"] as const) {
  natsTest(
    `NatsEventBus loses nothing that was awaited before ${how}() of the connection`,
    async (scene) => {
      const raw = await scene.connect();
      let seen = 0;
      const all = raw.subscribe("aether-bus.>", { callback: () => void seen++ });
      await raw.flush();
      for (const count of [1, 8, 9, 200]) {
        seen = 0;
        const connection = await scene.connect();
        const bus = new NatsEventBus(connection);
        for (let version = 1; version <= count; version++) {
          await bus.publish("orders", event({ version }));
        }
        await connection[how]();
        // The server has read all of a connection that it no longer knows.
        while (
          (await scene.server.monitor<{ num_connections: number }>("/connz")).num_connections > 1
        );
        await raw.flush();
        assertEquals(seen, count);
      }
      all.unsubscribe();
    },
  );
}

natsTest(
  "NatsEventBus says that no event fits if the server takes messages that are too small",
  async (scene) => {
    await using bus = new NatsEventBus(await scene.connect());
    const error = await assertRejects(() => bus.publish("orders", event({})), EventTooLargeError);
    assertEquals(error.limit, 0);
    assert(error.message.includes("and 0 fit"), error.message);
  },
  { server: { config: "max_payload: 2000" } },
);
