import { assertEquals, assertRejects } from "@std/assert";
import { Layout } from "../../../store/format/layout.ts";
import { type Event, JetStreamEventStore } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import {
  actorIn,
  assertFenced,
  claimAll,
  counts,
  fencedTest,
  nodeOf,
  Traffic,
  tryOne,
  tryToSave,
} from "./bed.ts";
import { natsTest } from "../../support/fixture.ts";

natsTest(
  "Saves of any actors that wait go out in one batch, a guard for each shard",
  async (scene) => {
    const traffic = new Traffic();
    await using a = await nodeOf(scene, "a", { connection: traffic.watch(await scene.connect()) });
    await claimAll(a, 1);
    const { store } = a;
    const saves = [...Array(100).keys()].map((at) => tryOne(store, actorIn(store, at % 8, at), 1));
    const outcomes = await Promise.all(saves);
    // One marker for each of the eight shards, for no actor has two messages.
    assertEquals([counts(outcomes), traffic.sizes], [{ saved: 100 }, [108]]);
    const actorId = actorIn(store, 3, 999);
    outcomes.push(
      ...await Promise.all([1, 2, 3].map((version) => tryOne(store, actorId, version))),
    );
    // The three are one message; the guard is on a marker.
    assertEquals(traffic.sizes, [108, 2]);
    const many = [...Array(300).keys()].map((at) => fact(actorId, at + 4));
    outcomes.push(await tryToSave(store, many));
    // The guard rides on the second message of the actor.
    assertEquals(traffic.sizes, [108, 2, 2]);
    outcomes.push(await tryOne(store, actorId, 304));
    assertEquals(traffic.sizes, [108, 2, 2, 2]);
    const sequences = outcomes.slice(0, 100).map(({ sequence }) => sequence! / 256 - 17);
    assertEquals(sequences, [...Array(100).keys()].map((at) => at + 1));
    const last = outcomes.slice(100, 103).map(({ sequence }) => sequence! - 256 * 126);
    assertEquals(last, [0, 1, 2]);
    await assertFenced(a.connection, store, outcomes);
  },
);

natsTest("Over 1,000 messages that wait go in batches of 1,000 at most", async (scene) => {
  const traffic = new Traffic();
  await using a = await nodeOf(scene, "a", { connection: traffic.watch(await scene.connect()) });
  await claimAll(a, 1);
  const saves = [...Array(2_500).keys()].map((at) => tryOne(a.store, `order-${at}`, 1));
  const outcomes = await Promise.all(saves);
  assertEquals(counts(outcomes), { saved: 2_500 });
  assertEquals(traffic.sizes, [1_000, 1_000, 500 + 3 * 16]);
  await assertFenced(a.connection, a.store, outcomes);
});

natsTest("A save that leaves no room for its guards is a RangeError", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const many = [...Array(985).keys()].map((at) => fact(`order-${at}`, 1));
  await assertRejects(() => a.store.saveEvents(many), RangeError);
  const outcome = await tryToSave(a.store, many.slice(0, 984));
  const rest = await tryToSave(a.store, [...Array(5_000).keys()].map((at) => fact("b-1", at + 1)));
  await assertFenced(a.connection, a.store, [outcome, rest]);
});

fencedTest(
  "A conflict in a group is reported to the save that it is about",
  async (scene, options) => {
    await using a = await nodeOf(scene, "a", options);
    await using plain = await JetStreamEventStore.open(await scene.connect(), {
      namespace: scene.namespace,
    });
    await claimAll(a, 1);
    await Promise.all(["x", "y", "z"].map((name) => a.store.saveEvent(fact(`order-${name}`, 1))));
    // A store that takes no part in fencing: versions still hold between the two.
    await plain.saveEvent(fact("order-x", 2));
    await plain.saveEvent(fact("order-z", 2));
    const again = fact("order-y", 1);
    const stored = fact("order-w", 1);
    await a.store.saveEvent(stored);
    const outcomes = await Promise.all([
      tryOne(a.store, "order-a", 1),
      tryOne(a.store, "order-x", 2),
      tryOne(a.store, "order-y", 2),
      tryToSave(a.store, [fact("order-b", 1)], { expect: [{ actorId: "order-z", version: 1 }] }),
      tryToSave(a.store, [fact("order-c", 1)], { expect: [{ actorId: "order-y", version: 2 }] }),
      tryToSave(a.store, [again]),
      tryToSave(a.store, [stored]),
      tryOne(a.store, "order-x", 3),
      tryToSave(a.store, [fact("order-d", 1), fact("order-x", 2)]),
      tryOne(a.store, "order-a", 2),
    ]);
    assertEquals(outcomes.map(({ kind }) => kind), [
      ...["saved", "conflict", "saved", "conflict", "saved", "conflict", "duplicate"],
      ...["saved", "conflict", "saved"],
    ]);
    const conflict = outcomes[1]!.error as { actorId: string; currentVersion: number };
    assertEquals([conflict.actorId, conflict.currentVersion], ["order-x", 2]);
  },
);

natsTest("Saves of one actor keep their order, whatever they wait for", async (scene) => {
  await using a = await nodeOf(scene, "a", {
    codec: {
      encode: (event: Event) => {
        const body = new TextEncoder().encode(JSON.stringify(event));
        return event.version % 3 === 0 ? Promise.resolve(body) : body;
      },
      decode: (body: Uint8Array) => {
        const event = JSON.parse(new TextDecoder().decode(body));
        return { ...event, timestamp: new Date(event.timestamp) };
      },
    },
  });
  await claimAll(a, 1);
  const outcomes = await Promise.all(
    [...Array(200).keys()].map((at) => tryOne(a.store, `order-${at % 4}`, Math.floor(at / 4) + 1)),
  );
  assertEquals(counts(outcomes), { saved: 200 });
  await assertFenced(a.connection, a.store, outcomes);
});

natsTest(
  "A foreign write to an actor is reported, and harms no other save",
  async (scene) => {
    await using a = await nodeOf(scene, "a");
    await claimAll(a, 1);
    const saves = (version: number) =>
      [...Array(20).keys()].map((at) => tryOne(a.store, `order-${at}`, version));
    const outcomes = await Promise.all(saves(1));
    const subject = new Layout(scene.namespace).event("order-7", 16);
    await a.connection.request(subject, "not an event", { timeout: 5_000 });
    const later = await Promise.allSettled(
      [...Array(20).keys()].map((at) => a.store.saveEvent(fact(`order-${at}`, 2))),
    );
    assertEquals(later.flatMap(({ status }, at) => status === "fulfilled" ? [] : [at]), [7]);
    const { reason } = later[7] as PromiseRejectedResult;
    assertEquals(reason.name, "CorruptEventError");
    assertEquals(counts(outcomes), { saved: 20 });
  },
);
