import { assertEquals } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { fact, storeApart } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";

/** Subjects that the server lists at once. */
const PAGE = 100_000;

natsTest(
  "listActors() gives each actor once, also where others come between two pages",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace, shards: 1 });
    const ids = Array.from({ length: PAGE + 1 }, (_, at) => `m-${at}`);
    await storeApart(connection, store, ids.map((actorId) => fact(actorId, 1)));
    const listed: string[] = [];
    for await (const actorId of store.listActors()) {
      // It comes before all others in the server's list.
      if (listed.push(actorId) === 1) await store.saveEvent(fact("a-1", 1));
    }
    assertEquals(listed.length, ids.length);
    assertEquals(new Set(listed).size, ids.length);
  },
);
