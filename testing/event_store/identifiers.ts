import type { EventStore } from "../../store/store.ts";
import { equal, ok, rejects } from "../assert.ts";
import { holds, range, sample, samples, type StoreTest, versionsOf } from "./kit.ts";
import { HOSTILE, IMPOSSIBLE, NEIGHBOURS } from "../values.ts";

/** Promise 8: bad input never reaches another actor. */
export function identifiers(test: StoreTest): void {
  test("a hostile actor id reaches its own events and no others", async ({ open }) => {
    const store = await open();
    // Every actor has a history unlike all others.
    const actors = [...new Set([...NEIGHBOURS, ...HOSTILE])];
    const histories = actors.map((actorId, at) => samples(actorId, [1, at + 2]));
    for (const actorId of actors) {
      equal(await store.getLatestVersion(actorId), 0, `version of ${JSON.stringify(actorId)}`);
    }
    for (const history of histories) await store.saveEvents(history);
    for (const history of histories) await holds(store, history);
    for (const [at, actorId] of actors.entries()) {
      await rejects(
        () => store.saveEvent(sample({ actorId, version: at + 2 })),
        "VersionConflictError",
        JSON.stringify(actorId),
      );
      const expect = [{ actorId, version: at + 2 }];
      await store.saveEvents([sample({ actorId: "last-1", version: at + 1 })], { expect });
    }
    for (const history of histories) await holds(store, history);
  });

  test("hostile ids and types of events come back unchanged", async ({ open }) => {
    const store = await open();
    const ids = [...new Set(HOSTILE)];
    const events = ids.map((id, at) => sample({ id, eventType: id, version: at + 1 }));
    const single = events.slice(0, 20);
    for (const event of single) await store.saveEvent(event);
    const { sequence } = await store.saveEvents(events.slice(20));
    await holds(store, events);
    equal(
      await store.saveEvents(events),
      { sequence, duplicate: true },
      "receipt of a repetition",
    );
  });

  test("hostile strings remain in place in data and metadata", async ({ open }) => {
    const store = await open();
    const events = HOSTILE.map((text, at) =>
      sample({ version: at + 1, data: { [text]: text }, metadata: { [text]: text } })
    );
    await store.saveEvents(events);
    await holds(store, events.map((event) => structuredClone(event)));
  });

  test("an impossible id is refused and changes nothing", async ({ open }) => {
    const store = await open();
    const neighbours = NEIGHBOURS.flatMap((actorId) => samples(actorId, range(1, 3)));
    await store.saveEvents(neighbours);
    for (const actorId of IMPOSSIBLE) {
      const what = JSON.stringify(actorId.slice(0, 20));
      const event = sample({ actorId, version: 9 });
      await rejects(() => store.saveEvent(event), "InvalidEventError", what);
      await rejects(() => store.getEvents(actorId), "RangeError", what);
      await rejects(() => store.getLatestVersion(actorId), "RangeError", what);
    }
    await holds(store, neighbours);
    await works(store);
  });
}

/** Whether the store still works. */
async function works(store: EventStore): Promise<void> {
  const { duplicate } = await store.saveEvent(sample({ actorId: "works-1" }));
  ok(!duplicate, "the event is new");
  equal(await versionsOf(store, "works-1"), [1], "versions");
}
