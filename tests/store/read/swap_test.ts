/**
 * A stream that is deleted and made again while a read of it is under way.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { createEvent, type Event, type EventStore, isAetherError } from "../../../mod.ts";
import { storeTest } from "../../support/stores.ts";

/** Events of each actor: several pages. */
const VERSIONS = 2_000;

/** Events of two actors, each in a message of its own. */
async function fill(store: EventStore, count: number, text: string): Promise<void> {
  const saves: Promise<unknown>[] = [];
  for (let version = 1; version <= count; version++) {
    for (const actorId of ["a-1", "b-1"]) {
      const event = { eventType: "T", actorId, version, data: text };
      saves.push(store.saveEvent(createEvent(event)));
    }
    if (version % 100 === 0) await Promise.all(saves.splice(0));
  }
}

const READS: Readonly<Record<string, (store: EventStore) => AsyncIterable<Event>>> = {
  "readAll()": (store) => store.readAll(),
  "readEvents()": (store) => store.readEvents("a-1"),
  "readEvents() backwards": (store) => store.readEvents("a-1", { direction: "backwards" }),
  "subscribe()": (store) => store.subscribe(),
};

for (const [name, read] of Object.entries(READS)) {
  storeTest(
    `${name} gives no event of a stream that takes the place of its own`,
    async (stores) => {
      const { store, connection } = await stores.open({ timeout: 3_000 });
      await fill(store, VERSIONS, "mine".repeat(700));
      const seen = new Set<unknown>();
      let error: unknown;
      let count = 0;
      try {
        for await (const { data } of read(store)) {
          seen.add((data as string).slice(0, 5));
          if (++count !== 3) continue;
          await (await jetstreamManager(connection)).streams.delete(`AETHER_${stores.namespace}`);
          const { store: other } = await stores.open({ timeout: 3_000 });
          await fill(other, VERSIONS + 100, "other");
        }
      } catch (cause) {
        error = cause;
      }
      assertEquals([...seen], ["minem"]);
      // What was fetched before is whole.
      const isWhole = name === "readEvents()" && count === VERSIONS && error === undefined;
      const isTold = isAetherError(error, "StreamRegressedError") ||
        // A request that came between the two streams.
        (isAetherError(error, "StoreRefusedError") && /stream not found/.test(error.message));
      assert(isWhole || isTold, String(error));
    },
  );
}
