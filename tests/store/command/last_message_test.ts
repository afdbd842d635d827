/**
 * The last message of an actor that a search for commands has read, in place of another request.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type Connection,
  createEvent,
  type Event,
  type EventStore,
  JetStreamEventStore,
} from "../../../mod.ts";
import { commandLogOf, type InnerReadOptions } from "../../../store/command_log.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

const A = "account-1";

function moved(version: number): Event {
  return createEvent({ eventType: "Moved", actorId: A, version, data: version });
}

async function open(scene: Scene, connection?: Connection): Promise<JetStreamEventStore> {
  const { namespace } = scene;
  return await JetStreamEventStore.open(connection ?? await scene.connect(), { namespace });
}

async function versions(store: EventStore, options: InnerReadOptions): Promise<number[]> {
  const found: number[] = [];
  for await (const { version } of store.readEvents(A, options)) found.push(version);
  return found;
}

async function lastOf(store: EventStore): Promise<object> {
  return (await commandLogOf(store)!.search(A, 0)).last!;
}

natsTest("a history that is whole in the last message is read without a request", async (scene) => {
  await using writer = await open(scene);
  await writer.saveEvents([moved(1), moved(2), moved(3)]);
  const connection = await scene.connect();
  await using store = await open(scene, connection);
  const last = await lastOf(store);
  const before = connection.stats().outMsgs;
  assertEquals(await versions(store, { last }), [1, 2, 3]);
  assertEquals(await versions(store, { last, fromVersion: 2, toVersion: 2 }), [2]);
  assertEquals(connection.stats().outMsgs, before);
});

natsTest("a history of several messages is read whole", async (scene) => {
  await using store = await open(scene);
  for (const version of [1, 2, 3]) await store.saveEvent(moved(version));
  await using other = await open(scene);
  const last = await lastOf(other);
  assertEquals(await versions(other, { last }), [1, 2, 3]);
});

natsTest("a last message from before this store's own saves counts for nothing", async (scene) => {
  await using store = await open(scene);
  await store.saveEvent(moved(1));
  const last = await lastOf(store);
  await store.saveEvent(moved(2));
  assertEquals(await versions(store, { last }), [1, 2]);
});
