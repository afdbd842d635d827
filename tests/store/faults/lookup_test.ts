import { assertEquals } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";

for (const versionLookup of ["last-message", "deliver-last"] as const) {
  natsTest(`A lost answer to a lookup by ${versionLookup} is no corruption`, async (scene) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(connection, { namespace, versionLookup });
    await store.saveEvent(fact("order-1", 7));
    const meal = proxy.eatFromServer(
      (frame) =>
        frame.headers?.get("Aether-Version") === "7" ||
        new TextDecoder().decode(frame.payload).includes("stream_msg_get_response"),
      1,
    );
    assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 7);
    assertEquals(meal.eaten.length, 1);
  });
}
