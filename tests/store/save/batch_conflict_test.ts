import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Event,
  type EventStore,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
} from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";

/** The actor, version and current version that the refusal of `events` names, and its words. */
async function refused(
  store: EventStore,
  ...events: Event[]
): Promise<{ names: [string, number, number]; message: string }> {
  const error = await assertRejects(() => store.saveEvents(events));
  assert(isAetherError(error, "VersionConflictError"), String(error));
  const { actorId, attemptedVersion, currentVersion, message } = error;
  return { names: [actorId, attemptedVersion, currentVersion], message };
}

/** Checks whom conflicts of batches name. */
async function check(store: EventStore): Promise<void> {
  const [a, b] = [fact("a-1", 4), fact("b-1", 7)];
  await store.saveEvents([a]);
  await store.saveEvents([b]);
  // The actor that has moved on, at any place in the batch.
  for (const version of [3, 7]) {
    const moved = await refused(store, fact("a-1", 5), fact("b-1", version));
    assertEquals(moved.names, ["b-1", version, 7]);
    assert(!moved.message.includes("stored already"), moved.message);
    const before = await refused(store, fact("b-1", version), fact("a-1", 5));
    assertEquals(before.names, ["b-1", version, 7]);
  }
  // The first that is not stored, where others are.
  for (const events of [[fact("a-1", 5), b], [b, fact("a-1", 5)]]) {
    const partly = await refused(store, ...events);
    assertEquals(partly.names, ["a-1", 5, 4]);
    assert(partly.message.includes("stored already"), partly.message);
  }
  assertEquals((await refused(store, b, fact("a-1", 4))).names, ["a-1", 4, 4]);
  assertEquals(await store.getLatestVersion("a-1", { fresh: true }), 4);
  assertEquals((await store.saveEvents([a, b])).duplicate, true);
}

Deno.test("A batch's conflict on memory names the actor that has moved on", async () => {
  await using store = new InMemoryEventStore();
  await check(store);
});

natsTest("A batch's conflict on JetStream names the actor that has moved on", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await check(store);
});
