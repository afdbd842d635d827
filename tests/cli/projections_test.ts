import { assertMatch } from "@std/assert";
import { JetStreamEventStore, KvCheckpointStore, Projection } from "../../store/mod.ts";
import { fact } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import { aether } from "./bed.ts";

natsTest("a projection that has handled nothing is where it begins", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await store.saveEvents([fact("order-1", 1), fact("order-2", 1)]);
  await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
  await using projection = new Projection({
    ...{ name: "mail", store, checkpoints, from: "now", partitions: 4 },
    handler: () => {},
  });
  await projection.pause();
  assertMatch((await aether(scene, "projections")).out, /at [1-9]\d*, 0 messages behind, paused$/m);
});
