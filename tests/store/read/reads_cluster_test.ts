import { assert, assertEquals } from "@std/assert";
import type { Event, EventStore } from "../../../store/mod.ts";
import { fact, facts, storeApart } from "../../support/fault.ts";
import { type ClusterScene, clusterTest } from "../../support/fixture.ts";
import { type Opened, Stores } from "../../support/stores.ts";

/** Also runs what takes minutes. */
const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const ROUNDS = LONG ? 2000 : 100;

/** All ways to read the events of an actor, as versions in ascending order. */
const WAYS: Record<string, (store: EventStore, actorId: string) => Promise<number[]>> = {
  "getEvents()": async (store, actorId) => (await store.getEvents(actorId)).map(versionOf),
  "readEvents() forwards": (store, actorId) => versionsIn(store.readEvents(actorId)),
  "readEvents() backwards": async (store, actorId) =>
    (await versionsIn(store.readEvents(actorId, { direction: "backwards" }))).reverse(),
  "readAll() of the actor": (store, actorId) => versionsIn(store.readAll({ filter: { actorId } })),
  "getEventsWithErrors()": async (store, actorId) =>
    (await store.getEventsWithErrors(actorId)).events.map(versionOf),
};

function versionOf({ version }: Event): number {
  return version;
}

async function versionsIn(events: AsyncIterable<Event>): Promise<number[]> {
  return (await Array.fromAsync(events)).map(versionOf);
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, at) => at + 1);
}

/** Passes if the store reads versions 1 to `last` of the actor, whichever way. */
async function reads(store: EventStore, actorId: string, last: number): Promise<void> {
  await Promise.all(
    Object.entries(WAYS).map(async ([way, read]) =>
      assertEquals(await read(store, actorId), upTo(last), `${way} of "${actorId}"`)
    ),
  );
}

clusterTest("Reads right after writes through any node are complete", async (scene) => {
  await using stores = new Stores(scene);
  const nodes: Opened[] = [];
  for (const { url } of scene.servers) nodes.push(await stores.open({ replicas: 3 }, url));
  let events = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { store } = nodes[round % 3]!;
    const { store: other } = nodes[(round + 1) % 3]!;
    const actorId = `order-${Math.floor(round / 10)}`;
    const version = 2 * (round % 10) + 1;
    await other.getLatestVersion(actorId, { fresh: true });
    const expect = [{ actorId, version: version - 1 }];
    await store.saveEvents([fact(actorId, version)], { expect });
    events++;
    await reads(store, actorId, version);
    await store.saveEvents([fact(actorId, version + 1), fact(`bill-${round}`, 1)]);
    events += 2;
    await reads(store, actorId, version + 1);
    assertEquals(await store.getLatestVersion(actorId), version + 1);
    // Once a store has heard of another store's save, it reads it.
    assertEquals(await other.getLatestVersion(actorId, { fresh: true }), version + 1);
    await reads(other, actorId, version + 1);
    if (round % 20 !== 19) continue;
    assertEquals((await Array.fromAsync(store.readAll())).length, events, "whole store");
    const actors = await Array.fromAsync(store.listActors());
    assertEquals(actors.length, 1 + round + Math.ceil((round + 1) / 10), "actors");
  }
});

clusterTest("A follower that is frozen during a read makes none short", async (scene) => {
  await readAroundFrozen(scene);
  // A consumer that a frozen server makes late ends when nobody has asked it for a while.
  await scene.assertNoLeaks(60_000);
});

/** On a machine with much to do, a server that was frozen takes long to answer again. */
const PATIENT = { timeout: 30_000 };

async function readAroundFrozen(scene: ClusterScene): Promise<void> {
  await using stores = new Stores(scene);
  const writer = await stores.open({ replicas: 3 });
  await storeApart(writer.connection, writer.store, facts("order-1", 1, 3000));
  const leader = await scene.cluster.leaderOf(writer.store.stream);
  const [frozen, other] = scene.servers.filter((server) => server !== leader);
  for (const server of [leader, other!]) {
    const { store } = await stores.open(PATIENT, server.url);
    assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 3000);
    for (const direction of ["forwards", "backwards"] as const) {
      const versions: number[] = [];
      for await (const { version } of store.readEvents("order-1", { direction })) {
        versions.push(version);
        if (versions.length === 10) await frozen!.pause();
      }
      if (direction === "backwards") versions.reverse();
      assertEquals(versions, upTo(3000), direction);
      await reads(store, "order-1", 3000);
      frozen!.resume();
    }
  }
  // Messages that it missed while it was frozen are not missing in a read through it.
  await frozen!.pause();
  const behind = await stores.open(PATIENT, leader.url);
  await behind.store.saveEvents(facts("order-1", 3001, 500));
  frozen!.resume();
  const { store } = await stores.open(PATIENT, frozen!.url);
  const latest = await store.getLatestVersion("order-1", { fresh: true });
  assert(latest === 3500, `Version ${latest}`);
  await reads(store, "order-1", 3500);
}
