/**
 * What became of a fenced save whose answer was lost, where the last messages of its actors are too large together
 * for one answer, or their subjects for one request.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Scene } from "../../support/fixture.ts";
import { natsTest } from "../../support/fixture.ts";
import { fact } from "../../support/fault.ts";
import { actorIn, type Node, nodeOf } from "./bed.ts";

const BIG = "x".repeat(1_030_000);

/** A node behind a proxy, with an actor of shard 0 to save, and guards in shard 1 that are to hold. */
async function begin(scene: Scene) {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const node = await nodeOf(scene, "a", { connection, timeout: 10_000 });
  const { store } = node;
  for (const shard of [0, 1, 2]) await store.claim(shard, 1);
  const guarded = [1, 2, 3, 4, 5].map((serial) => actorIn(store, 1, serial));
  return { proxy, node, actorId: actorIn(store, 0), guarded };
}

function save({ store }: Node, actorId: string, guarded: readonly string[]) {
  const expect = guarded.map((actorId) => ({ actorId, version: 1 }));
  return store.saveEvents([fact(actorId, 1, "own")], { expect });
}

natsTest(
  "a save whose answer was lost is told as saved, though its guards have moved on",
  async (scene) => {
    const { proxy, node, actorId, guarded } = await begin(scene);
    await using a = node;
    await using b = await nodeOf(scene, "b");
    for (const each of guarded) await a.store.saveEvent(fact(each, 1));
    const meal = proxy.eatAcks(1);
    const saving = save(a, actorId, guarded);
    saving.catch(() => {}); // Awaited below.
    await meal.done;
    for (const shard of [0, 1]) await b.store.claim(shard, 2);
    for (const each of guarded) await b.store.saveEvent(fact(each, 2, BIG));
    await b.store.saveEvent(fact(actorId, 2, BIG));
    assertEquals((await saving).duplicate, false);
    assertEquals((await b.store.getEvents(actorId))[0]!.data, "own");
  },
);

natsTest(
  "a save whose answer was lost is known at once, and holds up no other save",
  async (scene) => {
    const { proxy, node, actorId, guarded } = await begin(scene);
    await using a = node;
    for (const each of guarded) await a.store.saveEvent(fact(each, 1, BIG));
    const meal = proxy.eatAcks(1);
    const saving = save(a, actorId, guarded);
    saving.catch(() => {}); // Awaited below.
    await meal.done;
    await a.store.saveEvent(fact(actorIn(a.store, 2), 1));
    assertEquals((await saving).duplicate, false);
  },
);

const SMALL = { server: { config: "max_payload: 4096" } };

natsTest(
  "a server that takes small messages only is asked about many actors, and fences",
  async (scene) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using a = await nodeOf(scene, "a", { connection, timeout: 10_000, shards: 1_000 });
    const { store } = a;
    await store.claim(999, 1);
    const events = Array.from({ length: 200 }, (_, serial) => fact(actorIn(store, 999, serial), 1));
    const meal = proxy.eatAcks(1);
    const saving = store.saveEvents(events);
    saving.catch(() => {}); // Awaited below.
    await meal.done;
    assertEquals((await saving).duplicate, false);
    assertEquals([...(await store.fences()).keys()], [999]);
  },
  SMALL,
);
