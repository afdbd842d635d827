import { equal } from "../assert.ts";
import { type BusTest, collect, reach, sample, takeReal, versions } from "./kit.ts";

/** Promises between nodes. */
export function acrossNodes(test: BusTest): void {
  test("events reach subscribers of another node, each once and in order", async (bus, peer) => {
    const [here, there] = [bus.subscribe("orders"), peer.subscribe("orders")];
    await reach(bus, there, "orders");
    await reach(peer, here, "orders");
    for (let version = 1; version <= 100; version++) {
      await bus.publish("orders", sample({ version, actorId: "mine" }));
      await peer.publish("orders", sample({ version, actorId: "theirs" }));
    }
    const all = Array.from({ length: 100 }, (_, at) => at + 1);
    for (const subscription of [here, there]) {
      const got = await takeReal(subscription, 200);
      for (const actorId of ["mine", "theirs"]) {
        equal(versions(got.filter((event) => event.actorId === actorId)), all);
      }
      equal(subscription.queued, 0);
    }
  });

  test("patterns and filters apply to events that other nodes publish", async (bus, peer) => {
    const subscription = peer.subscribe("*.eu", { eventTypes: ["A", "B"], actorPattern: "o*" });
    await reach(bus, subscription, "orders.eu", { eventType: "A", actorId: "o" });
    await reach(bus, subscription, "orders.eu", { eventType: "B", actorId: "o" });
    const event = { eventType: "A", actorId: "order-1" };
    await bus.publish("orders", sample(event));
    await bus.publish("orders.us", sample(event));
    await bus.publish("*.eu.*", sample(event));
    await bus.publish("orders.eu", sample({ ...event, eventType: "C" }));
    await bus.publish("orders.eu", sample({ ...event, actorId: "item-1" }));
    await bus.publish("orders.eu", sample({ ...event, version: 6 }));
    await bus.publish("billing.eu", sample({ ...event, eventType: "B", version: 7 }));
    equal(versions(await takeReal(subscription, 2)), [6, 7]);
  });

  test("a queue group shares the events over nodes", async (bus, peer) => {
    const members = [bus, peer].map((each) => each.subscribe("orders", { queue: "workers" }));
    const witness = peer.subscribe("orders");
    await Promise.all(members.map((member) => member.ready));
    await reach(bus, witness, "orders");
    const seen = collect(members, 200);
    for (let version = 1; version <= 100; version++) {
      await bus.publish("orders", sample({ version }));
      await peer.publish("orders", sample({ version: 100 + version }));
    }
    const all = Array.from({ length: 200 }, (_, at) => at + 1);
    equal((await seen).flat().sort((a, b) => a - b), all);
  });
}
