import { assertEquals } from "@std/assert";
import { createEvent, JetStreamEventStore } from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { aftermath } from "./aftermath.ts";

natsTest("Whoever looks is told of an old backup, of losses and of a new stream", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  {
    await using store = await JetStreamEventStore.open(connection, { namespace });
    for (let version = 1; version <= 10; version++) {
      for (const actorId of ["note-0", "note-1"]) {
        await store.saveEvent(
          createEvent({ actorId, version, eventType: "Happened", data: { version } }),
        );
      }
    }
  }
  const { told, violations } = await aftermath(connection, namespace, 1);
  assertEquals(violations, []);
  assertEquals(told, 17);
});
