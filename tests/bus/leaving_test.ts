import { assert, assertEquals, assertRejects } from "@std/assert";
import type { EventBus, HandlerSubscription, Subscription } from "../../bus/bus.ts";
import { LocalEventBus } from "../../bus/local.ts";
import { NatsEventBus } from "../../bus/nats.ts";
import { createEvent, type Event } from "../../store/event.ts";
import { natsTest } from "../support/fixture.ts";

const N = 10_000;

function job(version: number): Event {
  const eventType = version % 2 === 0 ? "Even" : "Odd";
  return createEvent({ eventType, actorId: "job-1", version, data: "x".repeat(200) });
}

type Leaver = HandlerSubscription | Subscription | EventBus;

/** Events of {@linkcode N} that reach nobody if one of two members leaves in the middle by `leave`. */
async function lost(
  publisher: EventBus,
  buses: readonly [EventBus, EventBus],
  flush: () => Promise<void>,
  join: (bus: EventBus, take: (event: Event) => void) => HandlerSubscription | Subscription,
  leave: (bus: EventBus, member: HandlerSubscription | Subscription) => Leaver,
): Promise<number> {
  const seen = new Set<number>();
  const take = ({ version }: Event) => void seen.add(version);
  const members = buses.map((bus) => join(bus, take));
  await Promise.all(members.map(({ ready }) => ready));
  let left: Promise<void> | undefined;
  for (let version = 1; version <= N; version++) {
    await publisher.publish("jobs", job(version));
    if (version === N / 2) {
      left = leave(buses[0], members[0]!)[Symbol.asyncDispose]() as Promise<void>;
    }
    if (version % 200 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await left;
  for (let wait = 0; wait < 100 && seen.size < N; wait++) {
    await flush();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return N - seen.size;
}

const JOINS = {
  "a handler": (bus, take) => bus.on("jobs", take, { queue: "workers" }),
  "a handler of two types": (bus, take) =>
    bus.on("jobs", take, { queue: "workers", eventTypes: ["Even", "Odd"] }),
  "a loop": (bus, take) => {
    const subscription = bus.subscribe("jobs", { queue: "workers" });
    (async () => {
      for await (const event of subscription) take(event);
    })();
    return subscription;
  },
} satisfies Record<string, Parameters<typeof lost>[3]>;

for (const [member, join] of Object.entries(JOINS)) {
  for (const what of ["its subscription", "its bus"]) {
    natsTest(
      `Nothing is lost when ${member} leaves a queue group as ${what} is disposed`,
      async (scene) => {
        const out = await scene.connect();
        await using publisher = new NatsEventBus(out);
        await using one = new NatsEventBus(await scene.connect());
        await using two = new NatsEventBus(await scene.connect());
        const leaver = (bus: EventBus, it: Leaver) => what === "its bus" ? bus : it;
        assertEquals(await lost(publisher, [one, two], () => out.flush(), join, leaver), 0);
      },
    );
  }
}

Deno.test("Nothing is lost when a member leaves a queue group on one node", async () => {
  await using bus = new LocalEventBus();
  const done: number[] = [];
  const member = () =>
    bus.on("jobs", async ({ version }) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      done.push(version);
    }, { queue: "workers" });
  const [first, second] = [member(), member()];
  for (let version = 1; version <= 50; version++) await bus.publish("jobs", job(version));
  await first[Symbol.asyncDispose]();
  for (let version = 51; version <= 60; version++) await bus.publish("jobs", job(version));
  while (second.queued > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await second[Symbol.asyncDispose]();
  assertEquals(done.length, 60);
});

natsTest(
  "A member that leaves while the server is out of reach does not wait for it",
  async (scene) => {
    await using bus = new NatsEventBus(await scene.connect(), { onReconnect: () => {} });
    const member = bus.on("jobs", () => {}, { queue: "workers" });
    await member.ready;
    await scene.server.pause();
    const began = performance.now();
    await member[Symbol.asyncDispose]();
    assert(performance.now() - began < 5_000);
  },
);

natsTest(
  "A subscription that the server refused is never ready, whatever the reason",
  async (scene) => {
    const [user, password] = ["shop", "shop"];
    const connection = await scene.connect({ user, pass: password });
    await using bus = new NatsEventBus(connection, { onError: () => {} });
    const all = (pattern: string, more = {}) => bus.subscribe(pattern, more);
    const kept = all("shop");
    await kept.ready;
    const refused = [
      all("other"),
      all("other", { queue: "workers" }),
      all("shop", { queue: "no" }),
    ];
    // Two members of one refused group, whose subscriptions are alike.
    refused.push(all("other", { queue: "two" }), all("other", { queue: "two" }));
    for (const { ready } of refused) {
      await assertRejects(() => ready, Error, "Permissions Violation");
    }
    for (const it of refused) {
      await assertRejects(async () => await it[Symbol.asyncIterator]().next());
    }
    const more = Array.from({ length: 30 }, (_, at) => all(`shop.${at}`));
    const results = await Promise.allSettled(more.map(({ ready }) => ready));
    const failed = results.filter(({ status }) => status === "rejected");
    assert(failed.length > 0);
    for (const result of failed) {
      const { reason } = result as PromiseRejectedResult;
      assert(/maximum subscriptions exceeded/i.test(reason.message), reason.message);
    }
    // All that are ready get what is published.
    await using publisher = new NatsEventBus(await scene.connect({ user: "admin", pass: "admin" }));
    for (const [at, { status }] of results.entries()) {
      if (status === "rejected") continue;
      await publisher.publish(`shop.${at}`, job(at + 1));
      assertEquals((await more[at]![Symbol.asyncIterator]().next()).value?.version, at + 1);
    }
    for (const it of [kept, ...more]) await it[Symbol.asyncDispose]();
  },
  {
    server: {
      config: `max_subscriptions: 20
        authorization { users: [
          { user: admin, password: admin }
          { user: shop, password: shop, permissions: { subscribe: {
            allow: ["_INBOX.>", "aether-bus.*.*.shop", "aether-bus.*.*.shop.>"],
            deny: ["aether-bus.*.*.shop no"]
          } } }
        ] }`,
    },
  },
);

for (const over of ["one node", "NATS"] as const) {
  const spared = over === "one node";
  natsTest(
    `Over ${over} a stuck member of a queue group is ${spared ? "spared" : "given its share"}`,
    async (scene) => {
      const connection = await scene.connect();
      await using bus: EventBus = spared ? new LocalEventBus() : new NatsEventBus(connection);
      const stuck = Promise.withResolvers<void>();
      let handled = 0;
      const options = { queue: "workers", capacity: 100, overflow: "drop-newest" } as const;
      const first = bus.on("jobs", () => stuck.promise, options);
      const second = bus.on("jobs", () => void handled++, { queue: "workers" });
      await Promise.all([first.ready, second.ready]);
      for (let version = 1; version <= 2_000; version++) {
        await bus.publish("jobs", job(version));
        if (version % 20 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      await connection.flush();
      while (second.queued > 0) await new Promise((resolve) => setTimeout(resolve, 1));
      if (spared) assert(handled > 1_900 && first.dropped === 0, `${handled}, ${first.dropped}`);
      else assert(handled > 800 && handled < 1_200 && first.dropped > 700, `${handled}`);
      stuck.resolve();
    },
  );
}
